from tensordyno.records.machine import MachineFacts, RunHeader
from tensordyno.records.reading import Channel, ChannelSet, DeviceFacts, Reading
from tensordyno.records.trial import Plan
from tensordyno.records.wire import encode_line
from tensordyno.store.layout import RunFolder
from tensordyno.store.reader import Run


def test_a_run_tells_its_devices_beside_its_series(tmp_path):
    folder = RunFolder(tmp_path)
    folder.readings.mkdir()
    gpu = DeviceFacts(source="nvml", device="gpu0", labels={"name": "NVIDIA H200"})
    power = Channel(source="nvml", name="power", unit="W", device="gpu0")
    records = [ChannelSet(source="nvml", channels=(power,)), gpu, Reading(t_s=1.0, values=(70.0,))]
    folder.reading_file("nvml").write_bytes(b"".join(map(encode_line, records)))
    machine = MachineFacts(hostname="h", os="o", kernel="k", cpu="c", cores=2)
    header = RunHeader(run="r", started="", clock_start_s=0.0, command="", version="", machine=machine)
    run = Run(folder=folder, header=header, plan=Plan(trials=(), skips=()))
    assert run.devices == (gpu,)
    assert [series.channel for series in run.series] == [power]
