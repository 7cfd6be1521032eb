"""For the documentation: ``python -m experiments.gallery.NAME``, NAME being the file that draws a picture."""
