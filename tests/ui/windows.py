# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows, pages and dialogs."""

from desktop import wait_for
from journeys import household, journey, must

NARROW, WIDE = 360, 1000


@journey
def window_sizes(desktop):
    """As narrow as a telephone, and as wide as a desk: the window is as large as it was asked to be."""
    with household(desktop, 'window-sizes') as home:
        window = home.open(home.left)
        for width, height in ((NARROW, 294), (WIDE, 700), (NARROW, 640)):
            desktop.place(window.window(), 20, 40, width, height)
            wait_for(f'{width} x {height}', lambda: desktop.geometry(window.window())[2:] == (width, height), 20)
        desktop.place(window.window(), 20, 40, 200, 200)
        x, _, width, _ = desktop.geometry(window.window())
        must(width >= NARROW, f'it can be made {width} pixels wide')
