"""`NamedTuple` as typing has it, made in a tenth of the time.

A run makes eighty such classes before it reads its first packet, and with typing's that took a quarter of the
start: each compiles its annotations, which nobody asks for, and the function that makes its instances, which
few classes need in a given run. Here annotations stay as they are written, and that function is compiled for
the first instance. Type checkers see typing's own, and find in a definition what it would find at run time.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not from typing: a run does without it
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    try:
        from _collections import _tuplegetter as _getter
    except ImportError:  # as in collections
        from operator import itemgetter

        def _getter(place, doc):
            """Return what reads one field."""
            return property(itemgetter(place), doc=doc)

    _new = tuple.__new__

    @classmethod
    def _make(cls, values):
        """Make an instance of as many values as there are fields."""
        made = _new(cls, values)
        if len(made) != len(cls._fields):
            raise TypeError(f"{cls.__name__} has {len(cls._fields)} fields, not {len(made)}")
        return made

    def _replace(self, /, **changes):
        """Make an instance in which some fields are others."""
        made = _new(type(self), map(changes.pop, self._fields, self))
        if changes:
            raise ValueError(f"no fields of {type(self).__name__}: {list(changes)}")
        return made

    def _asdict(self):
        """Return the fields by name."""
        return dict(zip(self._fields, self, strict=True))

    def _repr(self):
        shown = ", ".join([f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True)])
        return f"{type(self).__name__}({shown})"

    def _getnewargs(self):
        """Return what copy and pickle make an instance of."""
        return tuple(self)

    _COMMON = {
        "__slots__": (),
        "_make": _make,
        "_replace": _replace,
        "_asdict": _asdict,
        "__repr__": _repr,
        "__getnewargs__": _getnewargs,
    }

    class _Maker(type):
        """Makes a tuple with names of each class that is said to be a `NamedTuple`."""

        def __new__(cls, name, bases, namespace):
            if not bases:
                return super().__new__(cls, name, bases, namespace)
            if len(bases) > 1:
                raise TypeError("a NamedTuple has no other bases")
            fields = tuple(namespace.get("__annotations__", ()))
            defaults = {field: namespace[field] for field in fields if field in namespace}
            if tuple(defaults) != fields[len(fields) - len(defaults) :]:
                raise TypeError("a field without a default after one that has one")

            def make_first(cls, /, *values, **named):
                """Compile what makes instances, and be replaced by it."""
                listed = ", ".join(fields)
                code = f"lambda _cls, {listed}: _new(_cls, ({listed}{',' * bool(fields)}))"
                make = eval(code, {"_new": _new, "__builtins__": {}})  # noqa: S307 - names out of a class body
                make.__name__, make.__qualname__ = "__new__", f"{made.__qualname__}.__new__"
                make.__defaults__ = tuple(defaults.values())
                made.__new__ = staticmethod(make)
                return make(cls, *values, **named)

            own = {**_COMMON, **namespace, "__new__": make_first}
            own |= {"_fields": fields, "__match_args__": fields, "_field_defaults": defaults}
            for place, field in enumerate(fields):
                own[field] = _getter(place, None)
            made = type(name, (tuple,), own)
            return made

    class NamedTuple(metaclass=_Maker):
        """A tuple whose places have names; a subclass lists them, with annotations, as with typing's."""


__all__ = ["NamedTuple"]
