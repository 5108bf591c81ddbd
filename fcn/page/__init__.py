"""The page in a browser that labels the image one drops on it: `python page.py`.

command.py  the command line
nets.py     which nets are offered, loaded when first used, one image at a time
server.py   what the browser asks for, on starlette
guard.py    who may ask, and how much
static/     the page itself: one HTML, one CSS, one JavaScript file, nothing from elsewhere
"""
