"""The bytes of TensorBoard's event files; needs the extra `tensorboard`, not torch or TensorFlow."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from snapshot_cli.errors import UserError
from snapshot_cli.tracking.curves import Point, SettingValue


def require() -> None:
    """Raise UserError, with the command to type, if tensorboard is not installed."""
    if find_spec("tensorboard") is None:
        raise UserError(
            "snapshot tensorboard needs tensorboard, which is not installed; type: "
            "pip install 'snapshot-cli[tensorboard]'"
        )


def session_file(name: str, settings: Mapping[str, SettingValue], points: Iterable[Point], *, start: float) -> bytes:
    """Return the event file of a run or an ensemble: hyper-parameters, then points.

    More points only add bytes at the end.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    values = [Event(wall_time=start, summary=Summary(value=[_session(name, settings, start)]))]
    for point in points:
        scalars = [Summary.Value(tag=tag, simple_value=value) for tag, value in point.values.items()]
        values.append(Event(wall_time=point.time, step=point.step, summary=Summary(value=scalars)))
    return _file(values, start)


def picture_file(pictures: Mapping[str, bytes], *, time: float) -> bytes:
    """Return the event file of PNG images by name."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    values = []
    for name, png in pictures.items():
        width, height = struct.unpack(">II", png[16:24])  # of a PNG's first chunk, IHDR
        image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
        values.append(Event(wall_time=time, summary=Summary(value=[Summary.Value(tag=name, image=image)])))
    return _file(values, time)


def _session(name: str, settings: Mapping[str, SettingValue], start: float) -> Any:
    """Return hyper-parameters for TensorBoard's plugin, whose writer does not reproduce bytes."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    info = plugin_data_pb2.SessionStartInfo(group_name=name, start_time_secs=start)
    for key, value in settings.items():
        kind = "bool" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"
        setattr(info.hparams[key], f"{kind}_value", value)
    data = plugin_data_pb2.HParamsPluginData(session_start_info=info, version=metadata.PLUGIN_DATA_VERSION)
    plugin = SummaryMetadata.PluginData(
        plugin_name=metadata.PLUGIN_NAME, content=data.SerializeToString(deterministic=True)
    )
    about = SummaryMetadata(plugin_data=plugin)
    return Summary.Value(tag=metadata.SESSION_START_INFO_TAG, metadata=about, tensor=metadata.NULL_TENSOR)


def _file(events: Iterable[Any], start: float) -> bytes:
    """Return events as records; SessionLog.START makes a TensorBoard discard what it read from an older file."""
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.summary.writer.record_writer import RecordWriter

    head = [
        Event(wall_time=start, file_version="brain.Event:2"),
        Event(wall_time=start, session_log=SessionLog(status=SessionLog.START)),
    ]
    content = io.BytesIO()
    writer = RecordWriter(content)
    for event in [*head, *events]:
        writer.write(event.SerializeToString(deterministic=True))
    return content.getvalue()
