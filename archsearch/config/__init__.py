"""Typed settings and their validation. No torch, no Hydra.

`settings` has the groups of the configuration, `recipe` those that say how a network learns, `schema` turns pydantic's
errors into messages that name the setting, the value and the rule. Open `settings` first.

The classes stand apart from the code that they configure because that code imports torch.
"""
