"""Old name of `rdbench.plugins` and `rdbench.spec`; goes when nothing imports it."""

from rdbench.errors import closest as closest
from rdbench.plugins import codec_class as codec_class
from rdbench.plugins import codec_names as codec_names
from rdbench.plugins import described_class as described_class
from rdbench.plugins import load_plugin as load_plugin
from rdbench.plugins import plugins as plugins
from rdbench.spec import codec_from_spec as codec_from_spec
from rdbench.spec import codecs_from_spec as codecs_from_spec
from rdbench.spec import curve_of as curve_of
from rdbench.spec import given_settings as given_settings
from rdbench.spec import rate_of as rate_of
from rdbench.spec import settings_of as settings_of
from rdbench.spec import spec_of as spec_of
