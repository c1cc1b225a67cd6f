# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows, pages and dialogs: from the first start to the preferences."""

import re

from desktop import wait_for
from journeys import household, journey, must
from network import Network
from people import program
from programs import START_SECONDS

NARROW, WIDE = 360, 1000
LINK = re.compile(r'^porthole:[\w-]{40,}')


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


@journey
def large_text_on_a_narrow_screen(desktop):
    """The page keeps its title, and everything in its header bar can still be had."""
    desktop.scale_text(1.5)
    try:
        with household(desktop, 'large-text-on-a-narrow-screen') as home:
            home.introduce()
            window = home.open(home.left, size=(NARROW, 640))
            window.wait('People', 'label')
            window.press('Search', 'toggle button')
            window.wait('Search People', 'entry')
            for name in ('Add a Person', 'Main Menu'):
                window.wait(name, 'button')
            window.press(re.compile('^Network: '), 'button')
            window.wait('Network', 'dialog')
    finally:
        desktop.scale_text(1)


@journey
def window_is_remembered(desktop):
    """It comes back as large as it was."""
    with household(desktop, 'window-is-remembered') as home:
        home.introduce()
        window = home.open(home.left)
        desktop.place(window.window(), 20, 40, 700, 500)
        wait_for('the size', lambda: desktop.geometry(window.window())[2:] == (700, 500))
        window.quit()
        window = home.adopt(home.left, home.start(home.left))
        wait_for('a window', lambda: desktop.windows(window.pid))
        wait_for('the same size', lambda: desktop.geometry(window.window())[2:] == (700, 500))


@journey
def folder_of_an_offer(desktop):
    """Where files will be saved is said as it is, also when it is changed while an offer waits."""
    with household(desktop, 'folder-of-an-offer') as home:
        home.introduce()
        path = home.lab.work / 'Apples.txt'
        path.write_text('apples', encoding='utf-8')
        window = home.open(home.left)
        offering = home.right.cli('send', home.right.contact, path, '--timeout', '120')
        window.click(window.wait('Desk', 'list item'))
        window.wait_text('Will be saved in')
        folder = home.lab.work / 'Orchard'
        folder.mkdir()
        home.left.do('config', 'set', 'download-dir', folder)
        window.wait_text('Will be saved in Orchard')
        offering.kill()


def begin(window, name):
    """The first start: a name, and that is all."""
    window.wait_text('Welcome to Porthole')
    window.type_into(window.wait('Your name', 'text'), name)
    window.press('Begin', 'button')
    window.wait_text('No People Yet')


def accept(inviting, invited, link):
    """The link is pasted, and both, Laptop and Desk, have the other as a contact."""
    invited.action('add-person')
    invited.press('Use an Invitation', 'page tab')
    invited.type_into(invited.wait('Invitation link', 'text'), link)
    invited.press('Add', 'button')
    invited.wait_text('You are contacts from')
    invited.press('Done', 'button')
    invited.wait('Laptop', 'list item')
    inviting.wait('Desk', 'list item', seconds=60)


@journey
def first_start(desktop):
    """Two people start Porthole for the first time, one invites the other, and they have each other."""
    with household(desktop, 'first-start') as home:
        left, right = home.open(home.left), home.open(home.right)
        begin(left, 'Laptop')
        begin(right, 'Desk')

        # Nobody has told this profile where people meet: the dialog says so and leads there.
        left.action('add-person')
        left.wait_text('A Meeting Point Is Missing')
        left.press('Set a Meeting Point…', 'button')
        address = left.wait('Address', 'text')
        left.type_into(address, home.lab.rendezvous)
        left.focus()
        desktop.key('Return')
        wait_for('the setting', lambda: home.left_setting('rendezvous') == home.lab.rendezvous)
        desktop.key('Escape')
        left.wait_gone('Preferences', 'dialog')

        left.action('add-person')
        link = left.name(left.wait(LINK, 'label', seconds=60))
        left.wait_text('Waiting for the other person')
        accept(left, right, link)


@journey
def invitations_left_behind(desktop):
    """Whoever was killed while an invitation waited leaves it open: all of them are seen, and each can be withdrawn."""
    with household(desktop, 'invitations-left-behind') as home:
        home.introduce()
        links = []
        for name in ((), ('--name', 'Kitchen'), ()):
            inviting = home.left.cli('invite', *name)
            links.append(inviting.wait_event('invitation', START_SECONDS)['link'])
            inviting.kill()
        window = home.open(home.left)
        window.action('add-person')
        shown = window.name(window.wait(LINK, 'label', seconds=60))
        must(shown in (links[0], links[2]), 'it is for Kitchen')
        others = window.wait('Other Open Invitations', 'list')
        window.press('Withdraw Invitation', 'button', within=window.wait('For Kitchen', 'list item', within=others))
        window.wait_gone('For Kitchen', 'list item')
        window.press('Copy Link', 'button', within=window.wait('For whoever has the link', 'list item', within=others))
        wait_for('the link in the clipboard', lambda: desktop.clipboard() in {links[0], links[2]} - {shown})
        window.press('Withdraw Invitation', 'button', within=others)
        window.wait_gone('Other Open Invitations', 'list')


@journey
def first_meeting_on_this_network(desktop):
    """Two people on one network have no meeting point, and become contacts by a link that is good there."""
    with household(desktop, 'first-meeting-on-this-network', network=Network('same-lan', 'same-lan')) as home:
        left, right = home.open(home.left), home.open(home.right)
        begin(left, 'Laptop')
        begin(right, 'Desk')
        left.action('add-person')
        left.press('Invite on This Network', 'button')
        link = left.name(left.wait(LINK, 'label', seconds=60))
        accept(left, right, link)


@journey
def preferences(desktop):
    """What is changed there is what the engine goes by, and stays."""
    with household(desktop, 'preferences') as home:
        home.introduce()
        window = home.open(home.left)
        window.focus()
        desktop.key('ctrl+comma')
        dialog = window.wait('Preferences', 'dialog')
        window.wait('General', 'panel', within=dialog)  # without the mark of a key
        window.wait('Connection', 'panel', within=dialog)
        name = window.wait('Your name, as others see it', 'text')
        window.type_into(name, 'Kitchen')
        desktop.key('Return')
        wait_for('the name', lambda: home.left_setting('name') == 'Kitchen')
        window.press('Private mode', 'check box')
        wait_for('private mode', lambda: home.left_setting('private-mode') == 'true')
        desktop.key('Escape')
        window.wait_gone('Preferences', 'dialog')
        path = home.lab.work / 'Between us.txt'
        path.write_text('hello', encoding='utf-8')
        receiving = home.right.receive()
        home.left.do('send', home.left.contact, path, timeout=60)
        receiving.expect_exit(0, 30)
        window.action('history')
        dialog = window.wait('History', 'dialog')
        window.wait('No Finished Transfers', within=dialog)


@journey
def nothing_is_selected(desktop):
    """A dialog or a page of one opens with the focus where a key does no harm, however it was opened and whatever becomes of
    the window's size: what is typed next replaces nothing."""
    def must_focus(window, name, role, within):
        wait_for(f'the focus on {name}', lambda: window.has_focus(window.wait(name, role, within)), 10)
        must(not window.selected_text(within), f'selected: {window.selected_text(within)!r}')

    with household(desktop, 'nothing-is-selected') as home:
        home.introduce()
        window = home.open(home.left)
        for width, other in ((WIDE, NARROW), (NARROW, WIDE)):
            desktop.place(window.window(), 20, 40, width, 640)
            window.action('person-details', home.left.contact)
            dialog = window.wait('Details', 'dialog')
            must_focus(window, 'Compare Keys', 'list item', dialog)
            desktop.place(window.window(), 20, 40, other, 640)
            wait_for('the other size', lambda: desktop.geometry(window.window())[2] == other)
            must_focus(window, 'Compare Keys', 'list item', window.wait('Details', 'dialog'))
            window.focus()
            desktop.key('Return')
            must_focus(window, 'The Numbers Are the Same', 'button', window.wait('Details', 'dialog'))
            desktop.key('Escape')
            must_focus(window, 'Compare Keys', 'list item', window.wait('Details', 'dialog'))
            desktop.key('Escape')
            window.wait_gone('Details', 'dialog')

        window.action('preferences')
        dialog = window.wait('Preferences', 'dialog')
        must_focus(window, 'Download folder', 'list item', dialog)
        window.press('Connection', 'page tab')
        must_focus(window, 'Test', 'button', dialog)


@journey
def numbers_in_words(desktop):
    """Who only goes past a number leaves it as it is: it may stand for more than its words say."""
    with household(desktop, 'numbers-in-words') as home:
        home.introduce()
        home.left.do('config', 'set', 'speed-limit-up', '123456')
        window = home.open(home.left)
        window.action('preferences')
        window.press('Connection', 'page tab')
        window.tab_to(re.compile('Upload'), 'spin button')
        desktop.key('Return')
        window.tab_to(re.compile('Download'), 'spin button')
        must(home.left_setting('speed-limit-up') == '123456', 'a limit was rounded')


@journey
def network_page(desktop):
    """The indicator leads to a page that tells by itself what is known and what has changed, and copies a report."""
    with household(desktop, 'network-page') as home:
        home.introduce()
        window = home.open(home.left)
        window.press(re.compile('^Network: '), 'button')
        window.wait('Network', 'dialog')
        window.wait_text('Connected')
        window.wait_text(home.left.host.public, 60)  # the router's address, which only a server can tell
        window.tab_to('Copy Report', 'button')
        desktop.key('Return')
        wait_for('the report in the clipboard', lambda: home.left.host.public in desktop.clipboard(), 20)
        home.lab.network.unplug('left')
        window.wait_text(re.compile('Connecting…|Does not answer'))
        window.wait_gone(re.compile(re.escape(home.left.host.public)))
        home.lab.network.plug('left')
        window.wait_text('Connected', 60)
        window.wait_text(home.left.host.public, 60)


@journey
def command_line_beside_window(desktop):
    """While the window has the profile, the command line asks it."""
    with household(desktop, 'command-line-beside-window') as home:
        home.introduce()
        left, right = home.open(home.left), home.open(home.right)
        contacts = home.left.do('contacts')
        must(contacts.last_event('contact')['name'] == 'Desk', 'the contact is not listed')
        path = home.lab.work / 'From the command line.txt'
        path.write_text('hello', encoding='utf-8')
        sending = home.left.cli('send', home.left.contact, path)
        right.click(right.wait('Laptop', 'list item'))
        right.press('Accept', 'button', 60)
        sending.expect_exit(0, 60)
        must((home.right.inbox / path.name).read_text(encoding='utf-8') == 'hello', 'it is not what was sent')
        left.click(left.wait('Desk', 'list item'))
        left.wait_text(path.name)


@journey
def notification(desktop):
    """With the window closed an offer is a notification, and its buttons accept and decline."""
    with household(desktop, 'notification') as home:
        home.introduce()
        right = home.open(home.right)
        right.focus()
        desktop.key('ctrl+w')
        wait_for('the window to close', lambda: not desktop.windows(right.pid))

        def answer(label, path):
            path.write_text('hello', encoding='utf-8')
            sending = home.left.cli('send', home.left.contact, path)
            shown, button = wait_for(f'a notification with a button {label}', lambda: next((
                (each, button) for each in desktop.notifications(right.app_id()).values()
                for button in each.get('buttons', ()) if button['label'] == label), None), 60)
            must('Laptop' in str(shown), f'it does not say who: {shown}')
            right.action(button['action'].removeprefix('app.'), button['target'])
            return sending

        accepted, declined = home.lab.work / 'For you.txt', home.lab.work / 'Not for you.txt'
        answer('Accept', accepted).expect_exit(0, 60)
        must((home.right.inbox / accepted.name).exists(), 'it is not in the folder')
        answer('Decline', declined).expect_exit(3, 60)
        must(not (home.right.inbox / declined.name).exists(), 'what was declined is in the folder')


@journey
def dialog_closes_at_once(desktop):
    """Without animations nothing of a dialog is used after it is gone."""
    with household(desktop, 'dialog-closes-at-once') as home:
        home.introduce()
        window = home.open(home.left)
        for action, title in (('preferences', 'Preferences'), ('history', 'History')):
            window.action(action)
            window.press('Close', 'button', within=window.wait(title, 'dialog'))
            window.wait_gone(title, 'dialog')


@journey
def dialog_closes_while_resized(desktop):
    """A window that changes its shape while a dialog goes, sooner or later after Escape."""
    with household(desktop, 'dialog-closes-while-resized', animations=True) as home:
        home.introduce()
        window = home.open(home.left)
        for delay, width, height in ((0.02, NARROW, 640), (0.05, WIDE, 700), (0.1, NARROW, 640), (0.2, WIDE, 700)):
            window.action('preferences')
            window.wait('Preferences', 'dialog')
            desktop.xdotool('key', 'Escape', 'sleep', delay, 'windowsize', window.window(), width, height)
            window.wait_gone('Preferences', 'dialog')
        must(window.process.process.poll() is None, 'it ended')


@journey
def file_dialog_closes_at_once(desktop):
    """Where the toolkit's own file dialog still asks a slow drive for the folders of its path."""
    with household(desktop, 'file-dialog-closes-at-once') as home:
        home.introduce()
        window = home.open(home.left, env={'LD_PRELOAD': str(program('release').parents[2] / 'tests/ui/libslow-stat.so')})
        own = window.window()
        window.action('preferences')
        choose = window.wait('Download folder', 'button', within=window.wait('Preferences', 'dialog'))

        def others():
            return [each for each in desktop.windows(window.pid) if each != own]

        for delay in (0.15, 0.25, 0.35):  # some folders have answered, some not
            window.act(choose)
            chooser, = wait_for('the file dialog', others)
            desktop.xdotool('windowactivate', '--sync', chooser, 'sleep', delay, 'key', '--clearmodifiers', 'Escape')
            wait_for('the file dialog to close', lambda: not others())
        window.press('Close', 'button')
        window.wait_gone('Preferences', 'dialog')
