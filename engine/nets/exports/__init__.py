"""Workflows for other programs, and for people to look at. Pure: definitions in, text out.

export(definition, format)   the text, in one of EXPORTS
"""

from engine.nets.exports.choice import EXPORTS, Export, export

__all__ = ["EXPORTS", "Export", "export"]
