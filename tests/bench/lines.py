# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a line is used, and when: watching what arrives."""

import os
import threading
import time

LOOK_SECONDS = 0.05
# Of 1,514 bytes of a frame, which is what tc counts, 1,448 are the payload of plain TCP.
PAYLOAD_SHARE = 1448 / 1514


def line_percent(bytes_per_second, bits_per_second):
    """Share of what plain TCP could get out of the line at best."""
    return round(100 * bytes_per_second * 8 / (bits_per_second * PAYLOAD_SHARE), 1)


def bytes_below(folder):
    """Of all files in a folder, finished or not."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                pass  # it has got its own name meanwhile
    return total


class Watched:
    """A mover beside which somebody looks at how much has arrived. Its costs tell the speed from `after` seconds
    behind the first byte to the last."""

    def __init__(self, mover, after):
        self.mover = mover
        self.name = mover.name
        self.folder = mover.folder
        self.after = after

    def set_up(self):
        self.mover.set_up()

    def tear_down(self):
        self.mover.tear_down()

    def move(self, source):
        samples, over = [], threading.Event()
        watcher = threading.Thread(target=self._watch, args=(samples, over))
        watcher.start()
        try:
            cost = self.mover.move(source)
        finally:
            over.set()
            watcher.join()
        cost.late_bytes_per_second = self._late_speed(samples)
        return cost

    def _watch(self, samples, over):
        while not over.wait(LOOK_SECONDS):
            here = bytes_below(self.folder)
            if here > 0 and (not samples or here > samples[-1][1]):
                samples.append((time.monotonic(), here))

    def _late_speed(self, samples):
        start = samples[0][0] + self.after
        late = [sample for sample in samples if sample[0] >= start]
        if len(late) < 2:
            return None
        return (late[-1][1] - late[0][1]) / (late[-1][0] - late[0][0])
