#!/usr/bin/env python3
"""Checks a trace by the descriptors that Google publishes of Perfetto's format, in the package `perfetto` of PyPI.

usage: check.py FILE

Every packet must be known by the descriptors, without a field that they do not know. The times of each track must be in order, and its
slices balanced; every flow must have a place where it ends or goes on to; counters must not be negative. Exits with 77, and says
why, if the package is not there.
"""

import collections
import sys


def check(trace, descriptors):
    """Checks a parsed trace, and returns the numbers of what was found."""
    event_type = descriptors.TrackEvent
    tracks, times = {}, {}
    open_slices = collections.Counter()
    flows = collections.Counter()
    found = collections.Counter()
    for packet in trace.packet:
        if packet.HasField("track_descriptor"):
            descriptor = packet.track_descriptor
            assert descriptor.uuid not in tracks, f"track {descriptor.uuid} is described twice"
            tracks[descriptor.uuid] = descriptor
            continue
        assert packet.HasField("track_event"), packet
        event = packet.track_event
        track = event.track_uuid
        assert track in tracks, f"track {track} is not described"
        assert packet.timestamp >= times.get(track, 0), f"track {track} goes back in time"
        times[track] = packet.timestamp
        found[event.type] += 1
        if event.type == event_type.TYPE_SLICE_BEGIN:
            assert event.name
            open_slices[track] += 1
        elif event.type == event_type.TYPE_SLICE_END:
            open_slices[track] -= 1
            assert open_slices[track] >= 0, f"track {track} ends a slice that has not begun"
        elif event.type == event_type.TYPE_COUNTER:
            assert tracks[track].HasField("counter")
            assert event.counter_value >= 0
        else:
            assert event.type == event_type.TYPE_INSTANT and event.name
        for flow in [*event.flow_ids, *event.terminating_flow_ids]:
            flows[flow] += 1
            tasks = [note.uint_value for note in event.debug_annotations if note.name == "task"]
            assert tasks == [flow], f"the flow of task {flow} passes through another one"
    assert not any(open_slices.values()), f"slices that do not end: {open_slices}"
    processes = {uuid for uuid, descriptor in tracks.items() if descriptor.HasField("process")}
    assert len(processes) == 1
    for descriptor in tracks.values():
        assert descriptor.uuid in processes or descriptor.parent_uuid in processes
    threads = [descriptor.thread for descriptor in tracks.values() if descriptor.HasField("thread")]
    assert len({thread.tid for thread in threads}) == len(threads), "two threads have the same id"
    assert any(places > 1 for places in flows.values()), "no flow leads anywhere"
    return len(threads), found, len(flows)


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    try:
        from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as descriptors
    except ImportError as error:
        print(f"the package `perfetto` of PyPI is not there: {error}")
        sys.exit(77)
    from google.protobuf import unknown_fields

    with open(sys.argv[1], "rb") as file:
        trace = descriptors.Trace.FromString(file.read())
    unknown = [field for packet in trace.packet for field in unknown_fields.UnknownFieldSet(packet)]
    assert not unknown, f"fields that Perfetto does not know: {unknown}"
    threads, found, flows = check(trace, descriptors)
    assert threads and found[descriptors.TrackEvent.TYPE_SLICE_BEGIN] and flows
    print(f"{threads} threads, {sum(found.values())} events, {flows} flows")


if __name__ == "__main__":
    main()
