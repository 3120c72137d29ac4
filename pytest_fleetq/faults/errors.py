"""Everything that can be wrong with a fault.

FaultError
├── UnknownFault       no fault has this name
├── BadSetting         a setting that the fault does not have, or a value it cannot take
├── BadTarget          words that choose no pod
├── FaultUnavailable   this machine or this pod cannot have the fault; a skip, with the reason
├── FaultHadNoEffect   it was injected, and nothing shows that it happened
├── LinksError         the proxies between clients and pods did not do as told
└── NotReproduced      a schedule that is to be shrunk never failed
"""


class FaultError(Exception):
    """A fault could not be chosen, started, shown or healed."""


class UnknownFault(FaultError):
    pass


class BadSetting(FaultError):
    pass


class BadTarget(FaultError):
    pass


class FaultUnavailable(FaultError):
    pass


class FaultHadNoEffect(FaultError):
    pass


class LinksError(FaultError):
    pass


class NotReproduced(FaultError):
    pass
