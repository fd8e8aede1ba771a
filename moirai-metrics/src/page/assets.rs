//! The files of the page, which are part of the program.

/// The placeholder in the page for the token, without which it may do nothing.
const TOKEN: &str = "{{token}}";

/// The placeholder in the page for the names of what it may do.
const PERMITS: &str = "{{permits}}";

/// The files, by path, with their content types. uPlot draws the charts; its licence is beside it.
const FILES: [(&str, &str, &[u8]); 11] = [
    ("/assets/page.css", CSS, include_bytes!("assets/page.css")),
    ("/assets/page.js", JS, include_bytes!("assets/page.js")),
    ("/assets/charts.js", JS, include_bytes!("assets/charts.js")),
    ("/assets/tasks.js", JS, include_bytes!("assets/tasks.js")),
    ("/assets/story.js", JS, include_bytes!("assets/story.js")),
    ("/assets/queues.js", JS, include_bytes!("assets/queues.js")),
    ("/assets/dead.js", JS, include_bytes!("assets/dead.js")),
    ("/assets/permits.js", JS, include_bytes!("assets/permits.js")),
    ("/assets/text.js", JS, include_bytes!("assets/text.js")),
    ("/assets/uplot.js", JS, include_bytes!("assets/uplot.js")),
    ("/assets/uplot.css", CSS, include_bytes!("assets/uplot.css")),
];

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// The picture in the tab.
const ICON: &str = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><path d='M2 12 6 5l3 4 5-7' fill='none' \
     stroke='#4a7ab5' stroke-width='2.2' stroke-linecap='round' stroke-linejoin='round'/></svg>";

/// Returns the page, which offers what `permits` names.
pub(super) fn page(token: &str, permits: &str) -> String {
    include_str!("assets/index.html").replace(TOKEN, token).replace(PERMITS, permits)
}

/// Returns a file with its content type.
pub(super) fn file(path: &str) -> Option<(&'static str, &'static [u8])> {
    if path == "/assets/icon.svg" || path == "/favicon.ico" {
        return Some(("image/svg+xml", ICON.as_bytes()));
    }
    let found = FILES.iter().find(|(name, ..)| *name == path);
    found.map(|&(_, content_type, bytes)| (content_type, bytes))
}
