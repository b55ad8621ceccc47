"""Report folders made from others."""

import dataclasses

from rdbench.store import Store


def as_kodak(folder, target, wanted=lambda record: True, **changes):
    """Copy the records of a folder as if Kodak had been measured."""
    with Store(folder, create=False) as source, Store(target) as store:
        (images,) = source.datasets().values()
        store.remember_dataset("kodak", "kodak", images)
        for fingerprint, description in source.protocols().items():
            store.remember_protocol(fingerprint, description)
        for record in filter(wanted, source.records()):
            store.add(dataclasses.replace(record, dataset="kodak", **changes))
