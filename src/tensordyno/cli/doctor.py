"""`dyno doctor`: what works on this machine, what is missing, what to type; and is the instrument right?"""

import click

SUMMARY = "Check machine, engines and sensors; --selftest checks the instrument."


@click.command("doctor", short_help=SUMMARY)
@click.option(
    "--selftest", is_flag=True, help="Measure workloads of known cost and print the instrument's errors."
)
@click.option("--device", default="cpu", show_default=True, help="Device to ask the engines about.")
def command(selftest: bool, device: str) -> int:
    """Show the machine, ask every engine for its receipt and every sensor for a reading.

    With --selftest, run workloads of known cost through the whole pipeline instead and fail (exit code 6)
    when a number is out of its bound.
    """
    from tensordyno.cli import doctor_pages

    if selftest:
        return doctor_pages.print_selftest()
    return doctor_pages.print_doctor(device)


MEMBER = command
