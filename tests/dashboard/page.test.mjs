// The dashboard in a real Chromium, against a sidecar that is made up (mock.mjs). Each state leaves a picture in
// target/dashboard.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { connected, launch, open, shoot } from './browser.mjs'
import { HOSTILE, Mock, TOKEN } from './mock.mjs'
import { quantile } from '../../src/admin/dashboard/series.js'
import * as format from '../../src/admin/dashboard/format.js'

let browser
before(async () => { browser = await launch() })
after(() => browser.close())

/** Opens the page of a sidecar in a state, and closes both; nothing that the page did may have been wrong. */
async function look (state, options, act, { expected = [], live = false } = {}) {
  const mock = await new Mock(state, { live }).start()
  const { page, seen, context } = await open(browser, mock.url, options)
  try {
    await act(page, mock, seen)
    assert.deepEqual(seen.complaints.filter(it => !expected.some(pattern => pattern.test(it))), [], 'the console')
    assert.deepEqual(await page.evaluate(() => window.violations), [], 'the content security policy')
    assert.deepEqual(seen.requests.filter(it => !it.startsWith(`${mock.url}/`)), [], 'nothing from elsewhere')
  } finally {
    await context.close()
    await mock.stop()
  }
}

/** Until everything that is asked for at the start is there. */
async function settled (page) {
  await connected(page)
  await page.waitForSelector('#rules-table tbody tr')
  await page.waitForSelector('#tags-missed tbody tr')
  await page.waitForFunction(() => document.querySelector('[data-tile=rate]').textContent !== '–')
}

const textOf = (page, selector) => page.locator(selector).first().textContent()
const fits = async page => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'wider than the window')

// -- Every state, to be looked at

for (const [name, state, options] of [
  ['healthy', 'healthy', {}],
  ['healthy-dark', 'healthy', { colorScheme: 'dark' }],
  ['no-traffic', 'quiet', {}],
  ['degraded', 'degraded', {}],
  ['degraded-dark', 'degraded', { colorScheme: 'dark' }],
  ['bad-reload', 'bad-reload', {}],
  ['alone', 'alone', {}],
  ['many-rules', 'many', {}],
  ['hostile', 'hostile', {}],
  ['tablet', 'healthy', { width: 820, height: 1180 }],
  ['phone', 'healthy', { width: 360, height: 740 }],
  ['phone-dark', 'bad-reload', { width: 360, height: 740, colorScheme: 'dark' }],
  ['4k', 'healthy', { width: 3840, height: 2160 }],
  ['forced-colors', 'degraded', { forcedColors: 'active' }]
]) {
  test(`it is shown: ${name}`, () => look(state, options, async page => {
    await settled(page)
    await fits(page)
    await shoot(page, name)
  }))
}

test('the numbers are those of the sidecar', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  const stats = mock.past.at(-1)
  const [newest, minute] = [mock.past.at(-1), mock.past.at(-61)]
  assert.equal(await textOf(page, '[data-tile=rate-sub]'), `${format.count(stats.totals.requests)} since start`)
  assert.equal(await textOf(page, '[data-tile=rate]'), `${format.rate((newest.totals.requests - minute.totals.requests) / 60)}/s`)
  assert.equal(await textOf(page, '[data-tile=entries]'), format.short(stats.memory.entries))
  assert.equal(await textOf(page, '[data-tile=bytes]'), format.bytes(stats.memory.bytes))
  assert.equal(await textOf(page, '[data-tile=miss99-sub]'), `${format.latency(quantile(stats.latency.miss, 0.99))} since start`)
  for (const { rule, requests, hits, misses } of stats.rules) {
    const cells = page.locator(`#rules-table tr[data-rule="${rule}"]`)
    assert.equal(await cells.locator('[data-column=requests]').textContent(), format.count(requests))
    assert.equal(await cells.locator('[data-column=hits]').textContent(), format.count(hits))
    assert.equal(await cells.locator('[data-column=misses]').textContent(), format.count(misses))
  }
  // The chart says in words what it draws.
  const said = await page.locator('[data-chart=traffic]').getAttribute('aria-label')
  assert.match(said, /^Requests per second by outcome: Hit [\d,.]+, Stale [\d,.]+/)
  assert.ok(await page.locator('[data-chart=traffic] canvas').count() === 1)
}))

test('rules are sorted, filtered and opened', () => look('many', {}, async page => {
  await settled(page)
  assert.equal(await page.locator('#rules-table tbody tr').count(), 50)
  await page.click('#rules-foot button')
  assert.equal(await page.locator('#rules-table tbody tr').count(), 307)
  await page.click('#rules-table thead button:text("Rule")')
  assert.equal(await page.locator('#rules-table thead th').first().getAttribute('aria-sort'), 'ascending')
  await page.fill('#rules-filter', 'service-07')
  assert.deepEqual(await page.locator('#rules-table tbody th .name').allTextContents(), Array.from({ length: 10 }, (_, i) => `service-07${i}`))
  await page.fill('#rules-filter', 'service-042')
  await page.click('#rules-table tbody button.open')
  assert.match(await textOf(page, '#rules-table tr.more'), /Stored[\d,]+Not stored/)
  await shoot(page, 'rule-opened')
  await page.fill('#rules-filter', 'listing')
  await page.click('#rules-table tbody button.open')
  assert.match(await textOf(page, '#rules-table tr.more'), /Not stored[\d,]+ no-freshness/)
  await page.fill('#rules-filter', 'nothing like it')
  assert.equal(await textOf(page, '#rules-table .empty'), 'No rule like that.')
}))

test('names from outside are text, whatever they are', () => look('hostile', {}, async (page, mock) => {
  await settled(page)
  await page.click('#entries-form button')
  await page.waitForSelector('#entries-table tr[data-key]')
  for (const hostile of HOSTILE) {
    const wanted = format.shown(hostile)
    for (const table of ['#rules-table', '#tags-incremented', '#tags-missed', '#entries-table']) {
      const names = await page.locator(`${table} tbody th .name`).allTextContents()
      assert.ok(names.includes(wanted), `${wanted.slice(0, 60)} in ${table}`)
    }
  }
  // Every place that shows one: opened rules, the panel of an entry, of a tag, explanations, dialogs, problems.
  for (const button of await page.locator('#rules-table tbody button.open').all()) await button.click()
  for (let i = 0; i < HOSTILE.length; i++) {
    await page.locator('#entries-table tbody button').nth(i).click()
    await page.waitForSelector('.drawer table')
    if (i === 0) await shoot(page, 'hostile-entry', false)
    await page.keyboard.press('Escape')
    await page.locator('#tags-missed tbody button').nth(i).click()
    await page.waitForSelector('.drawer table')
    await page.keyboard.press('Escape')
  }
  mock.problems.set('POST /v1/purge', [422, HOSTILE[0], { mistakes: HOSTILE }])
  await page.locator('#rules-table tr.more button.danger').first().click()
  await page.click('#action button.danger')
  await page.waitForSelector('#action .problem')
  await shoot(page, 'hostile-problem', false)
  await page.keyboard.press('Escape')
  await page.fill('#explain-form [name=url]', 'https://shop.example/users/42')
  await page.click('#explain-form button')
  await page.waitForSelector('#explain-result table')
  mock.happen({ at: new Date().toISOString(), stamp: 1, tags: HOSTILE, by: HOSTILE[0], source: 'admin', soft: false })
  await page.waitForSelector('#feed-table tr.new')
  await fits(page)
  assert.equal(await page.evaluate(() => window.hacked), undefined)
  assert.equal(await page.locator('img, script').count(), 4, 'the logo and the three scripts of the page')
  assert.equal(await page.evaluate(() => document.title.includes('<img')), true, 'a title is text, too')
}, { expected: [/status of 422/] }))

test('hostile names fit on a phone', () => look('hostile', { width: 360, height: 740 }, async page => {
  await settled(page)
  await page.click('#entries-form button')
  await page.waitForSelector('#entries-table tr[data-key]')
  await page.locator('#entries-table tbody button').nth(6).click()
  await page.waitForSelector('.drawer table')
  assert.ok(await page.evaluate(() => document.querySelector('.drawer').scrollWidth <= innerWidth))
  await shoot(page, 'hostile-phone', false)
  await fits(page)
}))

// -- The token

test('the token is asked for, refused if it is wrong, and kept for the tab alone', () => look('token', {}, async (page, mock) => {
  await page.waitForSelector('#access[open]')
  assert.equal(await page.locator('#access .problem').isVisible(), false)
  await shoot(page, 'token', false)
  for (let i = 0; i < 3; i++) { // a browser lets itself be kept from it once
    await page.keyboard.press('Escape')
    await page.evaluate(() => new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve))))
    assert.equal(await page.locator('#access').isVisible(), true, 'without one there is nothing to see')
  }
  const calls = mock.calls.length
  for (const unfit of ['größe', 'Bearer x', 'a\u200bb']) {
    await page.fill('#access input', unfit)
    await page.keyboard.press('Enter')
    assert.match(await textOf(page, '#access .problem:visible'), /^A token has letters/)
  }
  assert.equal(mock.calls.length, calls, 'no header could hold it')
  await page.keyboard.type('wrong')
  await page.keyboard.press('Enter')
  await page.waitForSelector('#access .problem:visible')
  await shoot(page, 'token-wrong', false)
  assert.equal(await page.evaluate(() => sessionStorage.length), 0, 'a wrong one is not kept')
  await page.keyboard.type(TOKEN)
  await page.keyboard.press('Enter')
  await settled(page)
  assert.deepEqual(await page.evaluate(() => [Object.values(sessionStorage), Object.keys(localStorage), document.cookie]), [[TOKEN], [], ''])
  assert.ok(mock.calls.every(it => !it.path.includes('token') && !it.path.includes('horse')), 'it is in no URL')
  await page.reload()
  await settled(page)
  await page.click('#forget-token')
  await page.waitForSelector('#access[open]')
  assert.equal(await page.evaluate(() => sessionStorage.length), 0)
}, { expected: [/status of 401/] }))

test('a token that no longer counts is asked for again', () => look('token', {}, async (page, mock) => {
  await page.fill('#access input', TOKEN)
  await page.keyboard.press('Enter')
  await settled(page)
  mock.state.token = 'another'
  await page.click('#entries-form button')
  await page.waitForSelector('#access .problem:visible')
  await page.keyboard.type('another')
  await page.keyboard.press('Enter')
  await page.waitForSelector('#entries-table tr[data-key]')
}, { expected: [/status of 401/] }))

// -- The connection

test('a lost connection is told, and found again', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  assert.equal(await textOf(page, '#connection span'), 'Live')
  await mock.stop()
  await connected(page, 'lost')
  assert.match(await textOf(page, '#connection span'), /^Disconnected since \d\d:\d\d:\d\d$/)
  await shoot(page, 'disconnected')
  // An action says so, too.
  await page.click('[data-action=reload]')
  await page.click('#action button.primary')
  await page.waitForSelector('#action .problem')
  assert.match(await textOf(page, '#action .problem'), /cannot be reached/)
  await page.keyboard.press('Escape')
  const before = await textOf(page, '[data-tile=rate-sub]')
  await mock.start()
  await connected(page)
  mock.tick()
  await page.waitForFunction(text => document.querySelector('[data-tile=rate-sub]').textContent !== text, before)
  assert.equal(await textOf(page, '#connection span'), 'Live')
}, { expected: [/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/] }))

test('where no stream is to be had the numbers are asked for', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  mock.problems.set('GET /v1/events', [503, 'There are as many event streams as there may be.'])
  await mock.stop()
  await connected(page, 'lost')
  await mock.start()
  await connected(page, 'polling')
  assert.equal(await textOf(page, '#connection span'), 'Every few seconds')
  mock.problems.clear()
  await connected(page)
}, { expected: [/ERR_/, /status of 503/] }))

test('what the page was too slow for is told, and asked for', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  const asked = () => mock.calls.filter(it => it.path.startsWith('/v1/increments')).length
  const before = asked()
  // It was not told of this one, but once there it is there once, with the stamp that it has got meanwhile.
  const missed = { at: new Date().toISOString(), stamp: 1, tags: ['Missed'], by: 'POST /missed', source: 'response', soft: false }
  mock.increments.unshift(missed)
  mock.send('increment', { ...missed, stamp: undefined })
  for (let i = 0; i < 50; i++) mock.send('lagged', { missed: 17 })
  await page.waitForFunction(() => document.querySelector('#feed-count').textContent.includes('850 events left out'))
  const heard = { ...missed, tags: ['Heard'], stamp: undefined }
  mock.send('increment', heard)
  const again = await page.waitForResponse(it => it.url().includes('/v1/increments'))
  await again.finished()
  await page.waitForFunction(() => document.querySelectorAll('#feed-table tbody tr').length === 62)
  const tags = await page.locator('#feed-table tbody tr .chips').allTextContents()
  assert.deepEqual(tags.filter(it => ['Missed', 'Heard'].includes(it)).toSorted(), ['Heard', 'Missed'])
  assert.equal(asked(), before + 1, 'once, however often it was too slow')
}))

test('the audit is as long as it may be, until older records are asked for', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  const rows = () => page.locator('#audit-table tbody tr').count()
  await page.waitForFunction(() => document.querySelectorAll('#audit-table tbody tr').length === 6)
  assert.equal(await page.locator('#audit-more').isVisible(), false)
  for (let i = 0; i < 300; i++) mock.record('/v1/purge', { url: `/${i}` }, { purged: 1 })
  await page.waitForFunction(() => document.querySelector('#audit-table tbody td:nth-child(4)').textContent === 'url /299')
  assert.equal(await rows(), 200)
  await page.click('#audit-more')
  await page.waitForFunction(() => document.querySelectorAll('#audit-table tbody tr').length === 250)
  await page.click('#audit-more')
  await page.waitForFunction(() => document.querySelectorAll('#audit-table tbody tr').length === 300)
  mock.record('/v1/purge', { url: '/300' }, { purged: 1 })
  await page.waitForFunction(() => document.querySelector('#audit-table tbody td:nth-child(4)').textContent === 'url /300')
  await page.click('#audit-more')
  await page.waitForFunction(() => document.querySelectorAll('#audit-table tbody tr').length === 307)
  const purged = (await page.locator('#audit-table tbody td:nth-child(4)').allTextContents()).filter(it => it.startsWith('url'))
  assert.deepEqual(purged, Array.from({ length: 301 }, (_, i) => `url /${300 - i}`))
  assert.equal(await page.locator('#audit-more').isVisible(), false)
}))

test('what the audit has not kept whole is shown by its beginning', () => look('healthy', {}, async page => {
  await settled(page)
  const cell = page.locator('#audit-table tbody tr').last().locator('td:nth-child(4)')
  assert.equal(await cell.textContent(), '{"tags":["Product:1","Prod … (too long: the rest is not kept)')
}))

test('the tags of the cache\'s own are apart from those that somebody has named', () => look('healthy', {}, async page => {
  await settled(page)
  const tags = table => page.locator(`${table} tbody tr`).evaluateAll(rows => rows.map(it => it.dataset.tag))
  assert.ok((await tags('#tags-incremented')).every(it => !it.startsWith('~')))
  assert.deepEqual(await tags('#tags-own'), ['~uri:https://shop.example/orders', '~rule:product'])
  assert.equal(await page.locator('#tags-own').isVisible(), false)
  await page.click('#tags-own-h')
  assert.equal(await page.locator('#tags-own').isVisible(), true)
  assert.equal(await textOf(page, '#tags-own-h'), '2 tags of the cache\'s own')
}))

test('a chart without anything says that there were no requests', () => look('quiet', {}, async (page, mock) => {
  await connected(page)
  mock.tick()
  await page.waitForFunction(() => [...document.querySelectorAll('.chart .none')].every(it => it.textContent === 'No requests yet.'))
  assert.equal(await page.locator('[data-chart=ratio]').getAttribute('aria-label'), 'Hit ratio: No requests yet.')
}))

test('a chart with something says nothing of the kind', () => look('healthy', {}, async page => {
  await settled(page)
  assert.deepEqual(await page.locator('.chart .none').allTextContents(), ['', '', ''])
}))

test('health that changes is shown at once', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  assert.equal(await textOf(page, '#health span'), 'Healthy')
  mock.state.health = { status: 'degraded', reasons: [{ code: 'rules-not-reloaded', message: 'A file is wrong.' }] }
  mock.state.reload = { failed: true, mistakes: ['rules/a.yaml:1:2: what is this?'] }
  mock.tick()
  await page.waitForSelector('#notices .notice')
  assert.equal(await textOf(page, '#health span'), 'Degraded: 1 reason')
  await page.waitForSelector('#files-state .mistakes')
  assert.equal(await textOf(page, '#files-state .mistakes'), 'rules/a.yaml:1:2: what is this?')
  assert.match(await page.title(), /^Degraded/)
}))

// -- The feed

test('the feed is live, filtered and paused', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  const increment = (tag, source = 'response') => ({ at: new Date().toISOString(), stamp: 1, tags: [tag], by: `POST /${tag}`, source, soft: false })
  const first = () => textOf(page, '#feed-table tbody tr .chips')
  mock.happen(increment('Fresh:1'))
  await page.waitForSelector('#feed-table tr.new')
  assert.equal(await first(), 'Fresh:1')
  await page.click('#feed-pause')
  for (const n of [2, 3]) mock.happen(increment(`Fresh:${n}`))
  await page.waitForFunction(() => document.querySelector('#feed-count').textContent === 'paused, 2 new')
  assert.equal(await first(), 'Fresh:1')
  await page.click('#feed-pause')
  assert.equal(await first(), 'Fresh:3')
  await page.fill('#feed-filter', 'fresh:')
  assert.equal(await page.locator('#feed-table tbody tr').count(), 3)
  mock.happen(increment('Fresh:4', 'admin'))
  mock.happen(increment('Other'))
  await page.waitForFunction(() => document.querySelectorAll('#feed-table tbody tr').length === 4)
  await page.selectOption('#feed-source', 'admin')
  assert.equal(await page.locator('#feed-table tbody tr').count(), 1)
}))

test('a thousand increments at once are no trouble', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  for (let i = 0; i < 1000; i++) mock.happen({ at: new Date().toISOString(), stamp: i, tags: [`Flood:${i}`], by: 'POST /flood', source: 'response', soft: false })
  await page.waitForFunction(() => document.querySelector('#feed-table tbody .chips').textContent === 'Flood:999')
  assert.ok(await page.locator('#feed-table tbody tr').count() <= 300)
}))

// -- Entries, why, explain

test('entries are listed by page, and each says why it is as it is', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  await page.click('#entries-form button')
  await page.waitForSelector('#entries-table tr[data-key]')
  assert.equal(await page.locator('#entries-table tr[data-key]').count(), 100)
  await page.click('#entries-more')
  await page.waitForFunction(() => document.querySelectorAll('#entries-table tr[data-key]').length === 200)
  await page.fill('#entries-form [name=tag]', 'User:42')
  await page.click('#entries-form button')
  await page.waitForFunction(() => document.querySelectorAll('#entries-table tr[data-key]').length === 1)
  assert.match(await textOf(page, '#entries-status'), /^1 entry: that is all/)
  await shoot(page, 'entries')
  await page.click('#entries-table tbody button')
  await page.waitForSelector('.drawer .verdict')
  assert.equal(await textOf(page, '.drawer .verdict p'), 'invalidated User:42 incremented 3s ago by POST /users/42.')
  await shoot(page, 'why', false)
  await page.keyboard.press('Escape')
  await page.fill('#entries-form [name=tag]', '')
  await page.fill('#entries-form [name=match]', '*path=%2Fdash*')
  await page.selectOption('#entries-form [name=tier]', 'redis')
  await page.selectOption('#entries-form [name=rule]', 'dashboard')
  await page.click('#entries-form button')
  await page.waitForFunction(() => [...document.querySelectorAll('#entries-table tr[data-key] td:last-child')].every(it => it.textContent === 'redis'))
  const { path } = mock.calls.findLast(it => it.path.startsWith('/v1/entries?'))
  assert.equal(path, '/v1/entries?rule=dashboard&match=*path%3D%252Fdash*&tier=redis&limit=100')
}))

test('a bad filter is told', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  mock.problems.set('GET /v1/entries', [400, 'This cursor is none of ours.'])
  await page.click('#entries-form button')
  await page.waitForSelector('#entries-status .problem')
  assert.match(await textOf(page, '#entries-status'), /none of ours/)
}, { expected: [/status of 400/] }))

test('a request is explained', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  await page.fill('#explain-form [name=url]', 'https://shop.example/users/42')
  await page.fill('#explain-form [name=headers]', 'Accept-Language: en\n\nCookie: a=b ')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await page.waitForSelector('#explain-result .verdict')
  assert.match(await textOf(page, '#explain-result .verdict'), /^invalidated User:42 incremented 3s ago by POST \/users\/42/)
  assert.match(await textOf(page, '#explain-result table.tags'), /stored 17600/)
  const { path } = mock.calls.findLast(it => it.path.startsWith('/v1/explain'))
  assert.equal(path, '/v1/explain?method=GET&url=https%3A%2F%2Fshop.example%2Fusers%2F42&header=Accept-Language%3A+en&header=Cookie%3A+a%3Db')
  await shoot(page, 'explained')
}))

// -- Actions

const called = (mock, method) => mock.calls.filter(it => it.method === method && it.path.startsWith('/v1/')).map(it => it.path)

test('a purge names its effect, and nothing is done before it is confirmed', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  await page.click('[data-action=purge]')
  await page.fill('#action [name=url]', 'https://shop.example/users/42')
  await shoot(page, 'purge', false)
  await page.keyboard.press('Enter')
  assert.equal(await textOf(page, '#action .effect'), 'This forgets everything that is stored for the URL “https://shop.example/users/42”. The next request for it goes to the app.')
  assert.equal(await textOf(page, '#action .call'), 'POST /v1/purge {"url":"https://shop.example/users/42"}')
  await shoot(page, 'purge-confirm', false)
  await page.keyboard.press('Enter') // a key that was held down for too long
  assert.deepEqual(called(mock, 'POST'), [])
  await page.click('#action button.danger')
  await page.waitForSelector('#action .result')
  assert.equal(await textOf(page, '#action .result'), 'Purged.')
  assert.deepEqual(called(mock, 'POST'), ['/v1/purge'])
  await page.keyboard.press('Escape')
  assert.equal(await page.locator('#action').isVisible(), false)
  assert.equal(await page.evaluate(() => document.activeElement.dataset.action), 'purge', 'the focus is back where it was')
}))

test('to purge everything takes the name of the namespace', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  await page.click('[data-action=purge]')
  await page.selectOption('#action select', 'all')
  await page.click('#action button.primary')
  const go = page.locator('#action button.danger')
  assert.ok(await go.isDisabled())
  await page.keyboard.type('Shop')
  await page.keyboard.press('Enter')
  assert.ok(await go.isDisabled())
  assert.deepEqual(called(mock, 'POST'), [])
  await shoot(page, 'purge-all', false)
  await page.fill('#action input', 'shop')
  await go.click()
  await page.waitForSelector('#action .result')
  assert.deepEqual(called(mock, 'POST'), ['/v1/purge'])
}))

test('each target of a purge is asked for as the interface takes it', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  const bodies = []
  page.on('request', request => { if (request.method() === 'POST') bodies.push(request.postDataJSON()) })
  for (const [target, fill] of [
    ['rule', () => page.selectOption('#action [data-field=rule] select', 'listing')],
    ['group', () => page.fill('#action [name=group]', 'books')],
    ['tags', () => page.fill('#action [name=tags]', 'User:42\n\n Dashboard ')],
    ['match', () => page.fill('#action [name=match]', '*path=/a*')]
  ]) {
    await page.click('[data-action=purge]')
    await page.selectOption('#action [data-field=undefined] select, #action select', target)
    await fill()
    if (target !== 'match') await page.check('#action input[type=checkbox]')
    await page.click('#action button.primary')
    await page.click('#action button.danger')
    await page.waitForSelector('#action .result')
    await page.click('#action .buttons button:text("Close")')
  }
  assert.deepEqual(bodies, [{ rule: 'listing', soft: true }, { group: 'books', soft: true }, { tags: ['User:42', 'Dashboard'], soft: true }, { match: '*path=/a*' }])
  assert.equal(called(mock, 'POST').length, 4)
}))

test('an action that fails says why, and can be tried again', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  mock.problems.set('POST /v1/reload', [422, '1 mistake: the rules stay as they are.', { mistakes: ['rules/shop.yaml:14:9: unknown field `tag`'] }])
  await page.click('[data-action=reload]')
  await page.click('#action button.primary')
  await page.waitForSelector('#action .problem')
  assert.match(await textOf(page, '#action .problem'), /Unprocessable Entity.*shop\.yaml:14:9/)
  await shoot(page, 'reload-refused', false)
  mock.problems.clear()
  await page.click('#action button.primary')
  await page.waitForSelector('#action .result')
  assert.equal(await textOf(page, '#action .result'), '6 rules in force, epoch 3.')
}, { expected: [/status of 422/] }))

test('a refresh goes on where it ended', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  await page.click('[data-action=refresh]')
  await page.selectOption('#action select', 'tags')
  await page.fill('#action [name=tags]', 'products')
  await page.click('#action button.primary')
  await page.click('#action button.primary')
  await page.waitForSelector('#action .result')
  assert.match(await textOf(page, '#action .result'), /^92 refreshed, 1 failed, 7 skipped/)
  await page.click('#action button:text("There are more")')
  assert.match(await textOf(page, '#action .call'), /"cursor":"next"/)
  await page.click('#action button.primary')
  await page.waitForSelector('#action .result')
  assert.equal(await page.locator('#action button:text("There are more")').count(), 0)
  assert.equal(called(mock, 'POST').length, 2)
}))

test('an increment is in the feed and in the audit', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  await page.click('[data-action=increment]')
  await page.fill('#action [name=tags]', 'User:42\nUser:43\nUser:44\nUser:45')
  await page.fill('#action [name=again]', '2s')
  await page.click('#action button.primary')
  assert.deepEqual(await page.locator('#action .listed li').allTextContents(), ['User:42', 'User:43', 'User:44', 'User:45'])
  await shoot(page, 'increment-confirm', false)
  await page.click('#action button.danger')
  await page.waitForSelector('#action .result')
  await page.keyboard.press('Escape')
  await page.waitForFunction(() => document.querySelector('#feed-table tbody .chips').textContent.startsWith('User:42'))
  assert.match(await textOf(page, '#audit-table tbody tr'), /increment.*User:42/)
}))

test('an entry is deleted from its panel', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  await page.click('#entries-form button')
  await page.click('#entries-table tbody tr:nth-child(2) button')
  const { key } = mock.entries[1]
  await page.click('.drawer button:text("Delete entry")')
  await page.click('#action button.danger')
  await page.waitForSelector('#action .result')
  assert.deepEqual(called(mock, 'DELETE'), [`/v1/entries/${key}`])
  await page.keyboard.press('Escape')
  await page.waitForSelector('.drawer .content p:text("It is no longer stored.")')
  await page.keyboard.press('Escape')
  await page.waitForFunction(key => !document.querySelector(`[data-key="${key}"]`), key)
}, { expected: [/status of 404/] }))

// -- For everybody

test('all of it is done by keyboard alone', () => look('healthy', {}, async (page, mock) => {
  await settled(page)
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip')
  const seen = new Set()
  for (let i = 0; i < 600; i++) {
    await page.keyboard.press('Tab')
    const at = await page.evaluate(() => {
      const it = document.activeElement
      const style = getComputedStyle(it.matches('.segments input') ? it.parentElement : it)
      return { id: it.id || it.name || it.dataset.action || it.textContent.trim(), outlined: style.outlineStyle !== 'none', body: it === document.body }
    })
    if (at.body) break
    assert.ok(at.outlined, `the focus is seen at ${at.id}`)
    seen.add(at.id)
  }
  for (const wanted of ['purge', 'increment', 'refresh', 'reload', 'theme', 'span', 'rules-filter', 'feed-pause', 'tag', 'url', 'Explain', 'List']) assert.ok(seen.has(wanted), `${wanted} was not reached`)
  await page.focus('[data-action=purge]')
  for (const key of ['Enter', 'Tab']) await page.keyboard.press(key)
  await page.keyboard.type('https://shop.example/users/42')
  for (const key of ['Enter', 'Tab', 'Tab', 'Tab', 'Enter']) await page.keyboard.press(key)
  await page.waitForSelector('#action .result')
  assert.deepEqual(called(mock, 'POST'), ['/v1/purge'])
}))

test('everything has a name, and every table a caption', () => look('healthy', {}, async page => {
  await settled(page)
  await page.click('#entries-form button')
  await page.waitForSelector('#entries-table tr[data-key]')
  const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input, select, textarea, a')]
    .filter(it => !(it.textContent.trim() || it.getAttribute('aria-label') || it.labels?.[0]?.textContent.trim()))
    .map(it => it.outerHTML.slice(0, 120)))
  assert.deepEqual(nameless, [])
  assert.equal(await page.locator('table:not(:has(caption))').count(), 0)
  assert.equal(await page.locator('section:not([aria-label]):not([aria-labelledby])').count(), 0)
  assert.equal(await page.locator('h1').count(), 1)
  const dangling = await page.evaluate(() => [...document.querySelectorAll('[aria-labelledby]')].filter(it => !it.closest('dialog') && !document.getElementById(it.getAttribute('aria-labelledby'))).length)
  assert.equal(dangling, 0)
}))

for (const colorScheme of ['light', 'dark']) {
  test(`text stands out from what is behind it: ${colorScheme}`, () => look('bad-reload', { colorScheme }, async page => {
    await settled(page)
    await page.click('#entries-form button')
    await page.waitForSelector('#entries-table tr[data-key]')
    assert.deepEqual(await page.evaluate(contrasts), [])
  }))
}

/** Texts with less contrast than WCAG 2.2 asks for (AA: 4.5, large 3). Runs in the page. */
function contrasts () {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = colour
    canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data]
  }
  const light = ([r, g, b]) => [r, g, b].map(it => it / 255).map(it => it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4)
    .reduce((sum, it, i) => sum + it * [0.2126, 0.7152, 0.0722][i], 0)
  const behind = element => {
    for (let it = element; it; it = it.parentElement) {
      const colour = rgba(getComputedStyle(it).backgroundColor)
      if (colour[3] > 200) return colour
    }
    return [255, 255, 255]
  }
  const poor = new Set()
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const it = texts.currentNode.parentElement
    if (!texts.currentNode.textContent.trim() || !it.checkVisibility() || it.closest('.hidden, option, noscript, :disabled')) continue
    const style = getComputedStyle(it)
    const [a, b] = [light(rgba(style.color)), light(behind(it))].toSorted((x, y) => y - x)
    const ratio = (a + 0.05) / (b + 0.05)
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && Number(style.fontWeight) >= 700)
    if (ratio < (large ? 3 : 4.5)) poor.add(`${it.tagName}.${it.className}: ${texts.currentNode.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`)
  }
  return [...poor]
}

test('the theme is chosen and remembered', () => look('healthy', {}, async page => {
  await settled(page)
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  const light = await background()
  await page.selectOption('#theme', 'dark')
  const dark = await background()
  assert.notEqual(light, dark)
  await page.reload()
  await settled(page)
  assert.equal(await background(), dark)
  assert.equal(await page.locator('#theme').inputValue(), 'dark')
  await page.selectOption('#theme', 'auto')
  assert.equal(await background(), light)
}))

test('nothing moves for those who do not want it', () => look('healthy', { reducedMotion: 'reduce' }, async (page, mock) => {
  await settled(page)
  mock.happen({ at: new Date().toISOString(), stamp: 1, tags: ['A'], by: 'POST /a', source: 'response', soft: false })
  await page.waitForSelector('#feed-table tr.new')
  assert.equal(await page.evaluate(() => document.getAnimations().length), 0)
}))
