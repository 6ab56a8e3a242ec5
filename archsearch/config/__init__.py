"""Typed settings and their validation. No torch, no Hydra.

`settings` has the groups of the configuration, `recipe` those of the training itself (optimizer, scheduler and so on).
`schema` turns pydantic's errors into messages with the setting, the value and the rule.
`json_schema` makes JSON Schemas of the classes, for editors. Open `settings` first.

The classes stand apart from the code that they configure because that code imports torch.
"""
