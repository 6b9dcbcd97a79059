"""Doubles of what a pipeline talks to: our own tests' parts, shipped for yours.

Import each from the module that defines it: ``memory_registry``, ``registry_server``,
``sample_images``, ``clock``, ``reporter``. None needs a daemon, a network or a file.
"""
