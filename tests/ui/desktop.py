# SPDX-License-Identifier: GPL-3.0-or-later
"""A desktop of its own to run programs on: an X server, a window manager, a compositor, a session bus
and the accessibility bus. Mouse and keyboard come from xdotool, as if a person moved them.

One server and one bus serve programs in different network namespaces: both listen on paths."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(TOP / 'tests/lab')]

from network import LabError  # noqa: E402

SCREEN = (2400, 1200)
START_SECONDS = 30
SERVER_NICE = -15
POLL_SECONDS = 0.05
SETTLE_PICTURES = 20
DRAG_STEPS = 8  # GTK starts a drag after some movement, and X tells the target at the next one


def wait_for(what, condition, seconds=30.0):
    """Polls `condition` until it is true and returns its value; LabError names what did not come."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f'{what}: not within {seconds:.0f} s')
        time.sleep(POLL_SECONDS)


class Desktop:
    """Use it in a `with`; everything it started is gone afterwards. There can be one in a process:
    the accessibility library keeps its connection for good."""

    def __init__(self, screen=SCREEN):
        self.screen = screen
        self.env = {}  # what programs need to appear on it
        self._folder = None
        self._programs = []
        self._input = None

    def __enter__(self):
        # A display's name is a file in /tmp, and a server in another namespace takes it for a stale one.
        os.unshare(os.CLONE_NEWNS)
        subprocess.run(['mount', '--make-rprivate', '/'], check=True)
        here = os.open(TOP, os.O_PATH)
        subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', '/tmp'], check=True)
        if not TOP.exists():  # the sources themselves are below /tmp
            TOP.mkdir(parents=True)
            subprocess.run(['mount', '--no-canonicalize', '--bind', f'/proc/{os.getpid()}/fd/{here}', str(TOP)], check=True)
        os.close(here)
        self._folder = tempfile.TemporaryDirectory(prefix='desktop-')
        try:
            self._start_display()
            self._start_bus()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        for program in reversed(self._programs):
            if program.poll() is None:
                program.kill()
                program.wait()
        self._folder.cleanup()

    def _start(self, argv, **options):
        program = subprocess.Popen(argv, env=dict(os.environ, **self.env), **options)
        self._programs.append(program)
        return program

    def _start_display(self):
        width, height = self.screen
        read, write = os.pipe()
        log = open(self._folder.name + '/xvfb.log', 'w', encoding='utf-8')
        server = self._start(['Xvfb', '-displayfd', str(write), '-screen', '0', f'{width}x{height}x24', '-nolisten', 'tcp',
                              '-dpi', '96', '-noreset'], pass_fds=[write], stdout=log, stderr=log)
        os.close(write)
        # Display servers of desktops run before everything else. Programs wait for theirs, and what they
        # take would otherwise be measured as what it takes. An ordinary user may not do this.
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, server.pid, SERVER_NICE)
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        if not number:
            server.wait()
            raise LabError('Xvfb: ' + Path(log.name).read_text(encoding='utf-8')[-500:])
        self.env['DISPLAY'] = f':{number}'
        quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
        # Without a compositor GTK draws a border of its own, and 360 pixels become 350.
        self._start(['openbox', '--config-file', self._openbox_config()], **quiet)
        self._start(['xcompmgr'], **quiet)
        wait_for('openbox', lambda: 'window id #' in self._run(['xprop', '-root', '_NET_SUPPORTING_WM_CHECK']),
                 START_SECONDS)

    def _openbox_config(self):
        """Windows open where they are put, and there is one desktop: nothing is left to chance."""
        path = Path(self._folder.name, 'openbox.xml')
        path.write_text('''<?xml version="1.0" encoding="UTF-8"?>
<openbox_config xmlns="http://openbox.org/3.4/rc">
  <focus><focusNew>yes</focusNew><followMouse>no</followMouse></focus>
  <placement><policy>Smart</policy></placement>
  <desktops><number>1</number></desktops>
  <mouse><context name="Client">
    <mousebind button="Left" action="Press"><action name="Focus"/><action name="Raise"/></mousebind>
  </context></mouse>
</openbox_config>
''', encoding='utf-8')
        return path

    def _start_bus(self):
        address = f'unix:path={self._folder.name}/bus'
        self._services = Path(self._folder.name, 'data/dbus-1/services')
        self._services.mkdir(parents=True)
        read, write = os.pipe()
        self._start(['env', f'XDG_DATA_HOME={self._folder.name}/data', 'dbus-daemon', '--session', '--nofork', '--nopidfile',
                     f'--address={address}', f'--print-address={write}'],
                    pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as pipe:
            if not pipe.readline():
                raise LabError('dbus-daemon ended at once')
        runtime = Path(self._folder.name, 'runtime')
        runtime.mkdir(mode=0o700)
        self.env.update({
            'DBUS_SESSION_BUS_ADDRESS': address, 'XDG_RUNTIME_DIR': str(runtime), 'GDK_BACKEND': 'x11',
            'GSK_RENDERER': 'cairo', 'GTK_A11Y': 'atspi', 'GSETTINGS_BACKEND': 'memory', 'XDG_CURRENT_DESKTOP': 'GNOME',
            'LIBGL_ALWAYS_SOFTWARE': '1', 'GTK_USE_PORTAL': '0', 'GDK_DEBUG': 'no-portals', 'ADW_DISABLE_PORTAL': '1',
            'GIO_USE_VFS': 'local'})
        # The accessibility library of this process reads them when it is first used.
        os.environ.update(self.env)
        self._start_shell()

    def _start_shell(self):
        """What takes notifications, as GNOME Shell would."""
        read, write = os.pipe()
        self._notifications = Path(self._folder.name, 'notifications')
        self._start(['python3', Path(__file__).with_name('notification-server.py'), self._notifications, str(write)],
                    pass_fds=[write])
        os.close(write)
        with os.fdopen(read) as pipe:
            if not pipe.readline():
                raise LabError('the notification server ended at once')

    def scale_text(self, factor):
        """For programs that start from here on. On X the display's word counts, not what a toolkit's own file says."""
        self._run(['xprop', '-root', '-f', 'RESOURCE_MANAGER', '8s', '-set', 'RESOURCE_MANAGER', f'Xft.dpi: {96 * factor:g}'])

    @property
    def folder(self):
        """For what lasts as long as the desktop."""
        return self._folder.name

    def _bus(self, method, *arguments):
        """Asks the session bus itself; returns what it says, as text, or None if it refuses."""
        done = subprocess.run(['gdbus', 'call', '--session', '--dest', 'org.freedesktop.DBus', '--object-path', '/org/freedesktop/DBus',
                               '--method', f'org.freedesktop.DBus.{method}', *arguments], check=False, capture_output=True, text=True,
                              timeout=60)
        return done.stdout if done.returncode == 0 else None

    def add_service(self, name, argv):
        """From here on the session bus starts this program when somebody calls that name."""
        argv = [shutil.which(argv[0]), *argv[1:]]  # the bus does not look in PATH
        path = self._services / f'{name}.service'
        path.write_text(f'[D-BUS Service]\nName={name}\nExec={shlex.join(str(word) for word in argv)}\n', encoding='utf-8')
        if self._bus('ReloadConfig') is None:
            raise LabError('the session bus does not read its services')

    @contextlib.contextmanager
    def without_service(self, name):
        """Meanwhile nobody answers to that name, as where that program is not installed."""
        installed = Path('/usr/share/dbus-1/services', f'{name}.service')
        hidden = installed.exists() and subprocess.run(['mount', '--bind', '/dev/null', str(installed)], check=True)
        self._bus('ReloadConfig')
        told = self._bus('GetConnectionUnixProcessID', name)
        if told:
            os.kill(int(re.search(r'\d+(?=,)', told)[0]), signal.SIGTERM)
            wait_for(f'{name} to end', lambda: self._bus('GetNameOwner', name) is None)
        try:
            yield
        finally:
            if hidden:
                subprocess.run(['umount', str(installed)], check=True)
            self._bus('ReloadConfig')

    def notifications(self, app_id):
        """{id: notification} that this program has on the screen."""
        shown = {}
        for line in self._notifications.read_text(encoding='utf-8').splitlines():
            event = json.loads(line)
            if event['app_id'] == app_id:
                if event['notification'] is None:
                    shown.pop(event['id'], None)
                else:
                    shown[event['id']] = event['notification']
        return shown

    def _run(self, argv):
        return subprocess.run(argv, env=dict(os.environ, **self.env), capture_output=True, text=True, check=False,
                              timeout=60).stdout

    # --- Mouse and keyboard ------------------------------------------------------------------------

    def xdotool(self, *words):
        done = subprocess.run(['xdotool', *(str(word) for word in words)], env=dict(os.environ, **self.env),
                              capture_output=True, text=True, check=False, timeout=60)
        return done.stdout.strip()

    def click(self, x, y, button=1):
        self.xdotool('mousemove', x, y, 'click', button)

    def key(self, *names):
        self.xdotool('key', '--clearmodifiers', *names)

    def type(self, text):
        self.xdotool('type', '--delay', 5, text)

    def clipboard(self, kind='UTF8_STRING'):
        """What was copied, as this kind of data; TARGETS lists the kinds."""
        return self._run(['xclip', '-selection', 'clipboard', '-t', kind, '-o'])

    def drag(self, start, end, over=lambda: None, drop=True):
        """Drags from one point to another; `over` is called where the pointer hovers over the target,
        before the button is let go. Without `drop` that is done in the corner of the screen."""
        self.xdotool('mousemove', *start, 'mousedown', 1)
        for step in range(1, 4):
            self.xdotool('mousemove', start[0] + 6 * step, start[1] + 3 * step, 'sleep', 0.05)
        for step in range(1, DRAG_STEPS + 1):
            self.xdotool('mousemove', *(round(a + (b - a) * step / DRAG_STEPS) for a, b in zip(start, end)),
                         'sleep', 0.03)
        # A target answers a movement over it.
        for shift in (1, 0, 1, 0):
            self.xdotool('mousemove', end[0] + shift, end[1], 'sleep', 0.05)
        try:
            over()
        finally:
            if not drop:
                self.xdotool('mousemove', self.screen[0] - 2, self.screen[1] - 2, 'sleep', 0.05)
            self.xdotool('mouseup', 1)

    # --- Windows ------------------------------------------------------------------------------------

    def windows(self, pid):
        """The visible windows of a process, oldest first."""
        found = self.xdotool('search', '--onlyvisible', '--pid', pid).split()
        return [window for window in found if self.xdotool('getwindowname', window)]

    def geometry(self, window):
        """(x, y, width, height) on the screen."""
        lines = self.xdotool('getwindowgeometry', '--shell', window).splitlines()
        values = dict(line.split('=') for line in lines)
        return tuple(int(values[key]) for key in ('X', 'Y', 'WIDTH', 'HEIGHT'))

    def place(self, window, x, y, width=None, height=None):
        if width:
            self.xdotool('windowsize', window, width, height)
        self.xdotool('windowmove', window, x, y)
        self.xdotool('windowactivate', '--sync', window)

    @staticmethod
    def _waits(pid):
        """Whether a program's main thread has nothing to do. On a busy machine it may have, and not get to it. Of one in
        a sandbox, whose processes are its own, this is not known: its pictures have to say."""
        try:
            stat = Path('/proc', str(pid), 'task', str(pid), 'stat').read_text(encoding='utf-8')
        except FileNotFoundError:
            return True
        return stat.rpartition(')')[2].split()[0] == 'S'

    def settled_picture(self, path, window):
        """The picture once nothing moves on it any more: the same as the one before, while its program waited for something
        new at either end. (A frame that is to be drawn is due within a few milliseconds, less than a picture takes: until
        it is drawn the program would have been ready to run.) What always moves is taken as it is after so many."""
        pid = self.xdotool('getwindowpid', window)
        seen = None
        for _ in range(SETTLE_PICTURES):
            waited = self._waits(pid)
            self.picture(path, window)
            bytes_now = subprocess.run(['convert', str(path), 'rgb:-'], capture_output=True, check=True).stdout
            if bytes_now == seen and waited and self._waits(pid):
                break
            seen = bytes_now
        return path

    def picture(self, path, window='root'):
        """Takes a picture of a window, or of the whole screen."""
        subprocess.run(['import', '-silent', '-window', str(window), str(path)], env=dict(os.environ, **self.env),
                       check=True, timeout=60)
        return path
