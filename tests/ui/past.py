# SPDX-License-Identifier: GPL-3.0-or-later
"""What has been: the history of everything, and of one person."""

import hashlib
import re

from contacts import details
from desktop import wait_for
from journeys import household, journey, must
from programs import START_SECONDS, Person


@journey
def history(desktop):
    """What was sent is found again with its hashes, what was missed is listed, and all is forgotten when it is cleared."""
    with household(desktop, 'history') as home:
        home.introduce()
        for name in ('Apples.txt', 'Pears.txt'):
            path = home.lab.work / name
            path.write_text(name, encoding='utf-8')
            receiving = home.right.receive()
            home.left.do('send', home.left.contact, path, timeout=60)
            receiving.expect_exit(0, 30)
        window = home.open(home.left)
        offer = home.lab.work / 'Plums.txt'
        offer.write_text('plums', encoding='utf-8')
        home.open(home.right)
        offered = home.right.do('send', home.right.contact, offer, '--queue').last_event('queued')
        window.wait_text('Wants to send you something')
        home.right.do('cancel', offered['transfer'])  # before anybody answered
        window.wait_gone(re.compile('Wants to send you something'))

        window.action('history')
        dialog = window.wait('History', 'dialog')
        window.wait('Plums.txt', 'list item', within=dialog)
        window.focus()
        desktop.key('F10')
        window.press('Missed Offers Only', seconds=10)
        wait_for('Apples.txt to go', lambda: not window.find('Apples.txt', 'list item', dialog))
        window.wait('Plums.txt', 'list item', within=dialog)
        window.press('Menu', 'toggle button', within=dialog)
        window.press('Missed Offers Only', seconds=10)
        window.wait('Apples.txt', 'list item')
        window.wait('Pears.txt', 'list item')
        window.press('Search', 'toggle button', within=dialog)
        window.type_into(window.wait(re.compile('Search'), 'entry', within=dialog), 'Pear')
        wait_for('Apples.txt to go', lambda: not window.find('Apples.txt', 'list item', dialog))
        window.activate(window.wait('Pears.txt', 'list item', within=dialog))
        digest = hashlib.sha256(b'Pears.txt').hexdigest()
        wait_for('the hash of the file', lambda: window.sees(digest[:8]) or window.sees(digest[:4]))
        desktop.key('Escape')  # out of the details, and then out of the search
        window.press('Menu', 'toggle button', within=window.wait('History', 'dialog'))
        window.press('Clear History…', seconds=10)
        window.press('Clear', 'button')
        window.wait('Nothing Found', within=dialog)  # of what was searched for
        must(not [event for event in home.left.do('history').events if event['event'] == 'transfer'], 'it is still there')


@journey
def history_is_left_at_once(desktop):
    """Whatever was just done in the history, one Escape leaves it."""
    with household(desktop, 'history-is-left-at-once') as home:
        home.introduce()
        path = home.lab.work / 'Apples.txt'
        path.write_text('apples', encoding='utf-8')
        receiving = home.right.receive()
        home.left.do('send', home.left.contact, path, timeout=60)
        receiving.expect_exit(0, 30)
        window = home.open(home.left)
        window.action('history')
        dialog = window.wait('History', 'dialog')
        window.wait('Apples.txt', 'list item', within=dialog)
        window.focus()
        desktop.key('F10')
        window.press('Clear History…', seconds=10)
        window.click(window.wait('Clear', 'button', within=window.wait(role='alert')))
        window.wait_text('History cleared')
        desktop.key('Escape')
        window.wait_gone('History', 'dialog', seconds=5)


def third_person(home, name):
    """Somebody else, beside Desk, whom Laptop calls so; returns them, with what they and Laptop are to each other."""
    person = Person(home.lab, name.lower(), home.right.host)
    person.do('config', 'set', 'name', name)
    inviting = home.left.cli('invite', '--name', name)
    adding = person.cli('add', '-', text=inviting.wait_event('invitation', START_SECONDS)['link'] + '\n')
    adding.expect_exit(0, 60)
    inviting.expect_exit(0, 30)
    return person, adding.last_event('contact')['id'], inviting.last_event('contact')['id']


@journey
def history_of_one_person(desktop):
    """From the details of a person to what there was with them, and with nobody else; searched, and back again."""
    with household(desktop, 'history-of-one-person') as home:
        home.introduce()
        kitchen, laptop, contact = third_person(home, 'Kitchen')

        def give(sender, receiver, to, name):
            path = home.lab.work / name
            path.write_text(name, encoding='utf-8')
            receiving = receiver.receive()
            sender.do('send', to, path, timeout=60)
            receiving.expect_exit(0, 30)

        give(home.left, home.right, home.left.contact, 'Apples.txt')
        give(home.left, kitchen, contact, 'Plums.txt')
        give(home.right, home.left, home.right.contact, 'Pears.txt')
        give(kitchen, home.left, laptop, 'Peaches.txt')

        window = home.open(home.left)
        person = details(window, 'Desk')
        wait_for('the focus where nothing is selected', lambda: window.has_focus(window.wait('Compare Keys', 'list item', within=person)))
        window.click(window.wait('History', 'list item', within=person))
        history = window.wait('History With Desk', 'dialog')

        def listed():
            rows = window.wait('Finished transfers', 'list', within=history)
            return {window.name(node) for node in window.nodes(rows) if window.role(node) == 'list item'}

        wait_for('what there was with Desk', lambda: listed() == {'Apples.txt', 'Pears.txt'})
        window.press('Search', 'toggle button', within=history)
        entry = window.wait('Search the history', 'entry', within=history)
        window.type_into(entry, 'Pe')
        wait_for('Pears.txt alone', lambda: listed() == {'Pears.txt'})
        window.activate(window.wait('Pears.txt', 'list item', within=history))
        window.wait_text('Transfer Details')
        window.press('Back', 'button', within=history)
        wait_for('Pears.txt alone', lambda: listed() == {'Pears.txt'})
        window.type_into(window.wait('Search the history', 'entry', within=history), 'Plums')
        window.wait('Nothing Found', within=history)
        window.press('Search', 'toggle button', within=history)
        wait_for('all of it again', lambda: listed() == {'Apples.txt', 'Pears.txt'})

        desktop.key('Escape')
        window.wait_gone('History With Desk', 'dialog')
        window.click(window.wait('History', 'list item', within=window.wait('Details', 'dialog')))
        history = window.wait('History With Desk', 'dialog')
        window.press('Menu', 'toggle button', within=history)
        window.press('Clear History…', seconds=10)
        window.wait_text('All finished transfers with Desk are forgotten')
        window.press('Clear', 'button')
        window.wait('No Finished Transfers', within=history)
        left = [event for event in home.left.do('history').events if event['event'] == 'transfer']
        must({event['contact'] for event in left} == {contact} and len(left) == 2, f'the history is {left}')
