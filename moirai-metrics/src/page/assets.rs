//! The files of the page, which are part of the program.

/// The placeholder in the page for the token, without which nothing is cancelled.
const TOKEN: &str = "{{token}}";

/// The files, by path, with their content types. uPlot draws the charts; its licence is beside it.
const FILES: [(&str, &str, &[u8]); 8] = [
    ("/assets/page.css", CSS, include_bytes!("assets/page.css")),
    ("/assets/page.js", JS, include_bytes!("assets/page.js")),
    ("/assets/charts.js", JS, include_bytes!("assets/charts.js")),
    ("/assets/tasks.js", JS, include_bytes!("assets/tasks.js")),
    ("/assets/story.js", JS, include_bytes!("assets/story.js")),
    ("/assets/text.js", JS, include_bytes!("assets/text.js")),
    ("/assets/uplot.js", JS, include_bytes!("assets/uplot.js")),
    ("/assets/uplot.css", CSS, include_bytes!("assets/uplot.css")),
];

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// The picture in the tab.
const ICON: &str = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><path d='M2 12 6 5l3 4 5-7' fill='none' \
     stroke='#4a7ab5' stroke-width='2.2' stroke-linecap='round' stroke-linejoin='round'/></svg>";

/// Returns the page. Without a token it offers no way to cancel a task.
pub(super) fn page(token: Option<&str>) -> String {
    include_str!("assets/index.html").replace(TOKEN, token.unwrap_or_default())
}

/// Returns a file with its content type.
pub(super) fn file(path: &str) -> Option<(&'static str, &'static [u8])> {
    if path == "/assets/icon.svg" || path == "/favicon.ico" {
        return Some(("image/svg+xml", ICON.as_bytes()));
    }
    let found = FILES.iter().find(|(name, ..)| *name == path);
    found.map(|&(_, content_type, bytes)| (content_type, bytes))
}
