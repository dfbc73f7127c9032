"""Small /proc and /sys trees, as the kernel would write them."""

STAT = """\
cpu  200 0 100 700 0 0 0 0 0 0
cpu0 100 0 50 350 0 0 0 0 0 0
cpu1 100 0 50 350 0 0 0 0 0 0
intr 12345 1 2 3
procs_running 2
"""

MEMINFO = """\
MemTotal:       1000000 kB
MemFree:         100000 kB
MemAvailable:    600000 kB
SwapTotal:       200000 kB
SwapFree:        150000 kB
HugePages_Total:       0
"""

DISKSTATS = """\
   7       0 loop0 9 0 9 0 0 0 0 0 0 0 0
 259       0 nvme0n1 10 0 2000 5 20 0 4000 9 0 7 14
 259       1 nvme0n1p1 10 0 1990 5 20 0 4000 9 0 7 14
 253       0 zram0 1 0 8 0 0 0 0 0 0 0 0
"""

NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     111       1    0    0    0     0          0         0      222       1    0    0    0     0       0          0
  ifb0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
eth0:1: 5000000      10    0    0    0     0          0         0     7000      10    0    0    0     0       0          0
"""  # noqa: E501

CPUINFO = """\
processor\t: 0
model name\t: AMD EPYC 9654 96-Core Processor
flags\t\t: fpu sse4_2 avx fma f16c avx2 avx512f avx512bw avx512vl avx512_vnni avx512_bf16 hypervisor

processor\t: 1
model name\t: never looked at
"""


def write(root, files):
    """Write texts below `root`, path -> text, making folders as needed."""
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return root


def machine(root):
    """A bare-metal machine with two cores, one disk, two interfaces, RAPL and an InfiniBand port."""
    zone = "sys/class/powercap/intel-rapl:0"
    port = "sys/class/infiniband/mlx5_0/ports/1/counters"
    return write(
        root,
        {
            "proc/stat": STAT,
            "proc/loadavg": "0.50 0.40 0.30 2/345 6789\n",
            "proc/meminfo": MEMINFO,
            "proc/diskstats": DISKSTATS,
            "proc/net/dev": NET_DEV,
            "proc/self/stat": "1 (x) R",
            "proc/cpuinfo": CPUINFO,
            "sys/block/nvme0n1/size": "1",
            "sys/block/loop0/size": "0",
            "sys/block/zram0/size": "0",
            "sys/class/net/lo/operstate": "unknown\n",
            "sys/class/net/ifb0/operstate": "down\n",
            "sys/class/net/eth0:1/operstate": "up\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "3700000\n",
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1500000\n",
            f"{zone}/name": "package-0\n",
            f"{zone}/energy_uj": "5000000\n",
            f"{zone}/max_energy_range_uj": "262143328850\n",
            f"{zone}:0/name": "dram\n",
            f"{zone}:0/energy_uj": "250000\n",
            f"{zone}:0/max_energy_range_uj": "65712999613\n",
            f"{port}/port_xmit_data": "1000\n",
            f"{port}/port_rcv_data": "3000\n",
        },
    )
