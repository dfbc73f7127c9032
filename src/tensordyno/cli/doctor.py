"""`dyno doctor`: what works on this machine, what is missing, what to type; and is the instrument right?"""

import click

SUMMARY = "Check machine, GPUs, engines and sensors; --selftest checks the instrument."


@click.command("doctor", short_help=SUMMARY)
@click.option(
    "--selftest", is_flag=True, help="Measure workloads of known cost and print the instrument's errors."
)
@click.option("--device", help="Device to ask the engines about.  [default: cpu, and the first GPU]")
@click.option(
    "--ceilings", is_flag=True, help="Measure what the devices reach beside what their vendors publish."
)
def command(selftest: bool, device: str | None, ceilings: bool) -> int:
    """Show the machine and its GPUs, ask every engine for its receipt and every sensor for a reading.

    With --selftest, run workloads of known cost through the whole pipeline instead and fail (exit code 6)
    when a number is out of its bound. With --ceilings, measure matrix products and copies as well, some
    seconds a device: these are the roofs of the roofline in reports.
    """
    from tensordyno.cli import doctor_pages

    if selftest:
        return doctor_pages.print_selftest()
    return doctor_pages.print_doctor(device, ceilings=ceilings)


MEMBER = command
