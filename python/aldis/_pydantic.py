"""How pydantic, where it is there, validates and serialises the models."""

from typing import Any, Dict, cast


def schema(model: Any) -> Any:
    """The schema of a model: an instance, a mapping of its arguments, or its line of JSON; written as a mapping."""
    from pydantic_core import core_schema

    def validate(value: Any) -> Any:
        if isinstance(value, model):
            return value
        if isinstance(value, str):
            return model.from_json(value)
        if not isinstance(value, dict):
            raise ValueError(f"a {model.__name__} is made of a mapping or a line of JSON")
        known = dict(cast(Dict[str, Any], value))
        known.pop("type", None)
        try:
            return model(**known)
        except (TypeError, OverflowError) as error:
            raise ValueError(str(error)) from error

    return core_schema.no_info_plain_validator_function(
        validate,
        serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.to_dict()),
    )
