"""What a user can cause and mend: told in one line, without a traceback."""

import caffe
from fcn.device import NoDevice
from fcn.lock import Busy
from fcn.prototxt import DamagedPrototxt
from fcn.weights.find import MissingWeights
from segdata import DataError
from surgery import SurgeryError


class StartError(Exception):
    """The run cannot start; the message says what to do."""


class Diverged(Exception):
    """The loss or a weight is not a number any more."""


USER_ERRORS: tuple[type[BaseException], ...] = (
    OSError,
    LookupError,
    Busy,
    NoDevice,
    StartError,
    MissingWeights,
    Diverged,
    SurgeryError,
    DataError,
    DamagedPrototxt,
)
if hasattr(caffe, "Error"):  # BVLC Caffe has none: it ends the process
    USER_ERRORS += (caffe.Error,)
