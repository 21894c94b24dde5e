"""Plain data into the classes of the bindings.

A pod has the same shape in a Deployment and in a StatefulSet, and the bindings have two families of classes for it. They are
named by their place: `DeploymentV1` + `Spec` + `Template` + `Spec` + `Container`. So Kubernetes objects are written once, as
data with the provider's names, and every part is given to the class that the bindings have for its place: a name that they do
not know is a TypeError, as it is when the class is called by hand. (jsii itself drops the names it does not know from a plain
dict in a list.) Which blocks the provider has as a list differs from kind to kind without a meaning; that is looked up too.
"""

from __future__ import annotations

import inspect
from functools import cache
from keyword import iskeyword
from types import ModuleType
from typing import Any

from cdktn import TerraformResource, TerraformResourceLifecycle
from constructs import Construct

Data = dict[str, Any]


def make(
    module: ModuleType, kind: str, scope: Construct, name: str, data: Data, *, protect: bool = False
) -> TerraformResource:
    """A resource of the bindings' class `kind`, named `name` in the scope.

    Args:
        protect: Terraform refuses to destroy it.

    Raises:
        TypeError: a key that its class does not have. RuntimeError (of jsii): a value of another type than it wants.
    """
    maker = getattr(module, kind)
    lifecycle = TerraformResourceLifecycle(prevent_destroy=True) if protect else None
    made = maker(scope, name, lifecycle=lifecycle, **_parts(module, kind, data))
    assert isinstance(made, TerraformResource)
    return made


def name_of(made: TerraformResource) -> str:
    """A Kubernetes object's name as a reference: what uses it is made after the object."""
    return made.get_string_attribute("metadata.0.name")


def _struct(module: ModuleType, kind: str, data: Data) -> Any:
    return getattr(module, kind)(**_parts(module, kind, data))


def _parts(module: ModuleType, kind: str, data: Data) -> Data:
    wants_list = _lists(getattr(module, kind))
    found = {}
    for key, value in data.items():
        part = kind + "".join(word.capitalize() for word in key.split("_"))
        if hasattr(module, part) and isinstance(value, dict):
            value = _struct(module, part, value)
            value = [value] if key in wants_list else value
        elif hasattr(module, part) and isinstance(value, list):
            value = [_struct(module, part, item) for item in value]
        found[f"{key}_" if iskeyword(key) else key] = value
    return found


@cache
def _lists(kind: Any) -> frozenset[str]:
    """The arguments that a class of the bindings wants as lists, by what it says of itself."""
    parameters = inspect.signature(kind.__init__).parameters.values()
    return frozenset(it.name for it in parameters if "Sequence" in str(it.annotation))
