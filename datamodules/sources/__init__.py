"""Data sets made from what public packages ship: fetched when asked for, never part of this repository."""
