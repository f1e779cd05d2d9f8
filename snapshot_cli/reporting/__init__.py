"""Tables, figures and pages."""

import logging

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns where HOME cannot be written to, and goes on
