import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { encode, tag, valid } from 'tagalong-cache'

test('a tag is a name and the parts of its instance', () => {
  for (const [made, text] of [
    [tag('Dashboard'), 'Dashboard'],
    [tag('User', 42), 'User:42'],
    [tag('User', 42n), 'User:42'],
    [tag('User', ''), 'User:'],
    [tag('Flag', true), 'Flag:true'],
    [tag('Page', 'de', 7), 'Page:de:7'],
    [tag('User', 'a:b'), 'User:a:b'],
    [tag('a list', 1), 'a%20list:1']
  ]) assert.equal(made, text)
})

test('separators, white space and control characters are encoded, and everything else stays', () => {
  for (const [value, text] of [
    [',;"%@', '%2C%3B%22%25%40'],
    ['a b\t\r\n\0\x7f', 'a%20b%09%0D%0A%00%7F'],
    ['\u0085\u00a0\u2003\u2028\u3000', '%C2%85%C2%A0%E2%80%83%E2%80%A8%E3%80%80'],
    ['\ufeff\u200b', '\ufeff\u200b'], // of JavaScript's \s, and of no White_Space of Unicode
    ['Zürich/日本語🍵:~', 'Zürich/日本語🍵:~'],
    ['\ud800', '%ED%A0%80'],
    ['%2C', '%252C']
  ]) assert.equal(encode(value), text)
})

test('other parts of an instance make another tag', () => {
  const parts = ['', ':', 'a', 'a:', ':a', 'a:b', '%3A', 'a%3Ab', ',', '%2C', ' ']
  const pairs = parts.flatMap(front => parts.map(last => [front, last]))
  assert.equal(new Set(pairs.map(pair => tag('P', ...pair))).size, pairs.length)
  assert.equal(new Set(parts.map(part => tag('P', part))).size, parts.length)
})

test('what has no value has no tag', () => {
  for (const value of [undefined, null, NaN, Infinity, {}, [1], Symbol('a'), () => 1]) assert.throws(() => tag('User', value), TypeError)
})

test('what the sidecar would not read as one tag of an app is refused', () => {
  for (const text of ['', ':1', '~all', 'a,b', 'a;soft', 'a"b', 'a b', 'a\r\nb', 'a\u2028b', '\ud800', 'x'.repeat(4097), 42, null]) assert.equal(valid(text), false, String(text))
  for (const text of ['a', 'a:', 'a:b:c', 'Café:ü', '50%', 'x'.repeat(4096)]) assert.equal(valid(text), true, text)
  for (const name of ['', 'a:b', '~all', 42, undefined]) assert.throws(() => tag(name, 1), TypeError)
})

test('a module of CommonJS may require all of it', () => {
  const { tag: required, tagalong } = createRequire(import.meta.url)('tagalong-cache')
  assert.equal(required, tag)
  assert.equal(typeof tagalong().increment, 'function')
})
