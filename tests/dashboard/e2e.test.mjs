// The dashboard of the real binary: its numbers are the interface's, and what is clicked happens.
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'

import { connected, launch, open, shoot } from './browser.mjs'
import { App, RULES, Sidecar, TOKEN } from './sidecar.mjs'
import * as format from '../../src/admin/dashboard/format.js'
import { hitRatio, quantile } from '../../src/admin/dashboard/series.js'

let browser, app, sidecar
before(async () => { browser = await launch() })
after(() => browser.close())
beforeEach(async () => { app = await new App().start() })
afterEach(async () => {
  await sidecar.remove()
  await app.stop()
})

/** The page of a sidecar; nothing that it did may have been wrong. */
async function look (options, act, expected = []) {
  sidecar = await new Sidecar(app, options).start()
  const { page, seen, context } = await open(browser, sidecar.dashboard)
  try {
    await act(page)
  } catch (error) {
    await context.close() // it would keep its stream open
    throw error
  }
  assert.deepEqual(seen.complaints.filter(it => !expected.some(pattern => pattern.test(it))), [], 'the console')
  assert.deepEqual(await page.evaluate(() => window.violations), [], 'the content security policy')
  assert.deepEqual(seen.requests.filter(it => !it.startsWith(`${sidecar.dashboard}/`)), [], 'nothing from elsewhere')
  await context.close()
}

const textOf = (page, selector) => page.locator(selector).first().textContent()
const isHit = ({ status }) => /; ?hit/.test(status)

/** Of tags that are as frequent those that the cache made itself come last. */
const byNamed = tags => tags.toSorted((a, b) => b.count - a.count || a.tag.startsWith('~') - b.tag.startsWith('~'))

/** Until the page shows as many requests as there were. */
function shows (page, requests) {
  return page.waitForFunction(wanted => document.querySelector('[data-tile=rate-sub]').textContent === wanted, `${format.count(requests)} since start`)
}

test('the numbers are the interface\'s, after a known sequence', () => look({}, async page => {
  await connected(page)
  for (let i = 0; i < 10; i++) await sidecar.ask('/users/42') // a miss, nine hits
  await sidecar.ask('/users/42', 'POST') // increments User:42
  await sidecar.ask('/users/42') // invalidated
  for (let i = 0; i < 3; i++) await sidecar.ask(`/pages/${i}`)
  await sidecar.ask('/private') // matched by no rule, not stored
  await shows(page, 16)

  const stats = await sidecar.api('/v1/stats')
  assert.deepEqual(
    { requests: stats.totals.requests, hits: stats.totals.hits, misses: stats.totals.misses, bypass: stats.totals.bypass, stored: stats.totals.stored },
    { requests: 16, hits: 9, misses: 6, bypass: 1, stored: 5 })
  assert.deepEqual(stats.totals.not_stored, { private: 1 })
  assert.equal(await textOf(page, '[data-tile=ratio-sub]'), `${format.percent(hitRatio(stats.totals))} since start`)
  assert.equal(format.percent(hitRatio(stats.totals)), '60.0\u202f%')
  assert.equal(await textOf(page, '[data-tile=hit99-sub]'), `${format.latency(quantile(stats.latency.hit, 0.99))} since start`)
  assert.equal(await textOf(page, '[data-tile=entries]'), String(stats.memory.entries))
  assert.equal(await textOf(page, '[data-tile=bytes]'), format.bytes(stats.memory.bytes))
  assert.equal(await textOf(page, '#namespace'), 'shop')
  assert.equal(await textOf(page, '#version'), stats.version)

  const { rules } = await sidecar.api('/v1/rules')
  assert.deepEqual(rules.map(it => it.rule).filter(Boolean), ['user', 'user-write', 'page'])
  await page.waitForSelector('#rules-table tr[data-rule=user]')
  for (const { rule, counts } of rules) {
    const row = page.locator(`#rules-table tr[data-rule="${rule}"]`)
    for (const column of ['requests', 'hits', 'stale', 'misses', 'collapsed', 'bypass']) {
      assert.equal(await row.locator(`[data-column=${column}]`).textContent(), format.count(counts[column]), `${column} of ${rule}`)
    }
    assert.equal(await row.locator('[data-column=not-stored]').textContent(), format.count(Object.values(counts.not_stored).reduce((sum, n) => sum + n, 0)))
  }

  await page.waitForSelector('#tags-missed tr[data-tag="User:42"]')
  const tags = await sidecar.api('/v1/tags')
  assert.deepEqual(await page.locator('#tags-incremented tbody tr').evaluateAll(rows => rows.map(it => [it.dataset.tag, it.querySelector('.n').textContent])),
    tags.incremented.map(it => [it.tag, format.count(it.count)]))
  assert.ok(tags.incremented_own.length > 0 && tags.incremented.every(it => !it.tag.startsWith('~')))
  assert.deepEqual((await page.locator('#tags-own tbody tr').evaluateAll(rows => rows.map(it => it.dataset.tag))).toSorted(), tags.incremented_own.map(it => it.tag).toSorted())
  assert.deepEqual(await page.locator('#tags-missed tbody tr').evaluateAll(rows => rows.map(it => [it.dataset.tag, it.querySelector('.n').textContent])),
    byNamed(tags.missed).map(it => [it.tag, format.count(it.count)]))

  const { increments } = await sidecar.api('/v1/increments')
  assert.equal(await page.locator('#feed-table tbody tr').count(), increments.length)
  assert.match(await textOf(page, '#feed-table tbody tr'), /User:42.*POST \/users\/42.*response/)
  await shoot(page, 'real')
}))

test('a purge by click makes a hit a miss', () => look({}, async page => {
  await connected(page)
  await sidecar.ask('/users/42')
  assert.ok(isHit(await sidecar.ask('/users/42')))
  await page.click('[data-action=purge]')
  await page.fill('#action [name=url]', `${sidecar.url}/users/42`)
  await page.click('#action button.primary')
  assert.ok(isHit(await sidecar.ask('/users/42')), 'nothing is done before it is confirmed')
  await page.click('#action button.danger')
  await page.waitForSelector('#action .result')
  assert.ok(!isHit(await sidecar.ask('/users/42')))
  assert.equal(app.asked.get('GET /users/42'), 2)
  await page.keyboard.press('Escape')
  await page.waitForFunction(() => document.querySelector('#audit-table tbody').textContent.includes('purge'))
}))

test('a purge by keyboard alone makes a hit a miss', () => look({}, async page => {
  await connected(page)
  await sidecar.ask('/users/42')
  assert.ok(isHit(await sidecar.ask('/users/42')))
  for (let i = 0; i < 40 && await page.evaluate(() => document.activeElement.dataset.action) !== 'purge'; i++) await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  await page.keyboard.type(`${sidecar.url}/users/42`)
  for (const key of ['Enter', 'Tab', 'Tab', 'Tab', 'Enter']) await page.keyboard.press(key)
  await page.waitForSelector('#action .result')
  assert.ok(!isHit(await sidecar.ask('/users/42')))
}))

test('every target of a purge forgets what it says, and no more', () => look({}, async page => {
  await connected(page)
  await page.waitForSelector('#rules-table tr[data-rule=user]')
  const fill = async () => {
    for (const path of ['/users/1', '/pages/1']) await sidecar.ask(path)
    for (const path of ['/users/1', '/pages/1']) assert.ok(isHit(await sidecar.ask(path)), path)
  }
  for (const [target, choose, stays] of [
    ['rule', () => page.selectOption('#action [data-field=rule] select', 'user'), true],
    ['group', () => page.fill('#action [name=group]', 'crew'), true],
    ['tags', () => page.fill('#action [name=tags]', 'people'), true],
    ['match', () => page.fill('#action [name=match]', '*users*'), true],
    ['all', () => {}, false]
  ]) {
    await fill()
    await page.click('[data-action=purge]')
    await page.selectOption('#action select', target)
    await choose()
    await page.click('#action button.primary')
    if (target === 'all') await page.fill('#action input', 'shop')
    await page.click('#action button.danger')
    await page.waitForSelector('#action .result, #action .problem')
    assert.match(await textOf(page, '#action .result, #action .problem'), /purged/i, target)
    await page.click('#action .buttons button:text("Close")')
    assert.ok(!isHit(await sidecar.ask('/users/1')), target)
    assert.equal(isHit(await sidecar.ask('/pages/1')), stays, target)
  }
}))

test('entries are listed, say why they are as they are, and are deleted', () => look({}, async page => {
  await connected(page)
  for (const path of ['/users/42', '/users/7', '/pages/1']) await sidecar.ask(path)
  await page.click('#entries-form button')
  await page.waitForFunction(() => document.querySelectorAll('#entries-table tr[data-key]').length === 3)
  await page.fill('#entries-form [name=tag]', 'User:42')
  await page.click('#entries-form button')
  await page.waitForFunction(() => document.querySelectorAll('#entries-table tr[data-key]').length === 1)
  await page.click('#entries-table tbody button')
  await page.waitForSelector('.drawer .verdict')
  assert.match(await textOf(page, '.drawer .verdict'), /^hit/)
  const { entries: [entry] } = await sidecar.api('/v1/entries?tag=User:42')
  assert.ok((await textOf(page, '.drawer .content')).includes(entry.key))
  await shoot(page, 'real-why', false)

  await sidecar.ask('/users/42', 'POST')
  await page.keyboard.press('Escape')
  await page.fill('#explain-form [name=url]', `${sidecar.url}/users/42`)
  await page.click('#explain-form button')
  await page.waitForSelector('#explain-result .verdict')
  assert.match(await textOf(page, '#explain-result .verdict'), /^invalidated.*User:42.*POST \/users\/42/)

  await sidecar.ask('/users/42')
  await page.click('#entries-form button')
  await page.waitForFunction(key => { const row = document.querySelector('#entries-table tr[data-key]'); return row && row.dataset.key !== key }, entry.key)
  await page.click('#entries-table tbody button')
  await page.click('.drawer button:text("Delete entry")')
  await page.click('#action button.danger')
  await page.waitForSelector('#action .result')
  assert.equal(await textOf(page, '#action .result'), '1 entry deleted.')
  assert.ok(!isHit(await sidecar.ask('/users/42')))
  assert.ok(isHit(await sidecar.ask('/users/7')))
}, [/status of 404/]))

test('increments and refreshes by click', () => look({}, async page => {
  await connected(page)
  await sidecar.ask('/users/42')
  await page.click('[data-action=increment]')
  await page.fill('#action [name=tags]', 'User:42')
  await page.click('#action button.primary')
  await page.click('#action button.danger')
  await page.waitForSelector('#action .result')
  await page.keyboard.press('Escape')
  await page.waitForFunction(() => /User:42.*admin/.test(document.querySelector('#feed-table tbody').textContent))
  assert.ok(!isHit(await sidecar.ask('/users/42')))
  const before = app.asked.get('GET /users/42')
  await page.click('[data-action=refresh]')
  await page.fill('#action [name=url]', `${sidecar.url}/users/42`)
  await page.click('#action button.primary')
  await page.click('#action button.primary')
  await page.waitForSelector('#action .result')
  assert.match(await textOf(page, '#action .result'), /^1 refreshed, 0 failed/)
  assert.equal(app.asked.get('GET /users/42'), before + 1)
  assert.ok(isHit(await sidecar.ask('/users/42')))
}))

test('a bad reload is shown with its mistakes, and a good one ends that', () => look({}, async page => {
  await connected(page)
  const reload = async () => {
    await page.click('[data-action=reload]')
    await page.click('#action button.primary')
    await page.waitForSelector('#action .result, #action .problem')
  }
  sidecar.rules(`${RULES}  - { id: broken, tagz: [] }\n`)
  await reload()
  assert.match(await textOf(page, '#action .problem'), /rules\.yaml:\d+:\d+: .*tagz/)
  await page.keyboard.press('Escape')
  await page.waitForSelector('#notices .notice')
  await page.waitForSelector('#files-state .mistakes')
  assert.match(await textOf(page, '#files-state .mistakes'), /tagz/)
  await shoot(page, 'real-bad-reload')
  sidecar.rules(RULES)
  await reload()
  assert.match(await textOf(page, '#action .result'), /^3 rules in force/)
  await page.keyboard.press('Escape')
  await page.waitForSelector('#notices:empty', { state: 'attached' })
}, [/status of 422/]))

test('hostile tags of the app are text', () => look({}, async page => {
  await connected(page)
  const hostile = '<img/src=x/onerror=window.hacked=1>'
  await sidecar.ask(`/pages/1?tag=${encodeURIComponent(hostile)}`)
  await sidecar.ask(`/write?tag=${encodeURIComponent(hostile)}`, 'POST')
  await page.waitForFunction(wanted => document.querySelector('#feed-table tbody').textContent.includes(wanted), hostile)
  await page.waitForFunction(wanted => document.querySelector('#tags-incremented tbody').textContent.includes(wanted), hostile)
  await page.click('#tags-incremented tbody button')
  await page.waitForSelector('.drawer table')
  assert.ok((await textOf(page, '#drawer-h')).includes(hostile))
  assert.equal(await page.evaluate(() => window.hacked), undefined)
}))

test('the token is needed, and a wrong one refused', () => look({ token: true }, async page => {
  await page.waitForSelector('#access[open]')
  await page.keyboard.type('wrong')
  await page.keyboard.press('Enter')
  await page.waitForSelector('#access .problem:visible')
  await page.keyboard.type(TOKEN)
  await page.keyboard.press('Enter')
  await connected(page)
  await sidecar.ask('/users/1')
  await shows(page, 1)
}, [/status of 401/]))

test('a sidecar that is restarted is found again, and its counters start anew', () => look({}, async page => {
  await connected(page)
  for (let i = 0; i < 5; i++) await sidecar.ask('/users/1')
  await shows(page, 5)
  await sidecar.stop()
  await connected(page, 'lost')
  await sidecar.start()
  await connected(page)
  await sidecar.ask('/users/1')
  await shows(page, 1)
}, [/ERR_/]))
