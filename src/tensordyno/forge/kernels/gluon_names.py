"""What Gluon has renamed between Triton 3.6 and 3.9, under its later names."""

from triton.experimental.gluon import language
from triton.experimental.gluon.language.nvidia.ampere import async_copy

async_load = getattr(async_copy, "async_load", None) or async_copy.async_copy_global_to_shared
barrier = getattr(language, "barrier", None) or language.thread_barrier
