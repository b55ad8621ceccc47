"""Old name of `rdbench.plugins` and `rdbench.spec`; goes when nothing imports it."""

from rdbench.errors import closest
from rdbench.plugins import codec_class, codec_names, described_class, load_plugin, plugins
from rdbench.spec import curve_of, given_settings, rate_of, settings_of, spec_of
from rdbench.spec import get_codec as codec_from_spec
from rdbench.spec import get_codecs as codecs_from_spec

__all__ = [
    "closest", "codec_class", "codec_from_spec", "codec_names", "codecs_from_spec", "curve_of",
    "described_class", "given_settings", "load_plugin", "plugins", "rate_of", "settings_of",
    "spec_of",
]  # fmt: skip
