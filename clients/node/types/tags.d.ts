/** @typedef {string | number | bigint | boolean} Instance what tells one thing of a name from another */
/**
 * A value as it stands in the instance of a tag: commas, semicolons, quotes, percent and at signs, white space and
 * control characters percent-encoded, everything else as it is. It is what a rule's template such as `User:{id}` makes of the same value.
 * @param {Instance} value a text, a finite number or a boolean; `null` and `undefined` are none, so that no tag is ever `User:undefined`
 * @returns {string}
 * @throws {TypeError} for anything else
 */
export function encode(value: Instance): string;
/**
 * A tag: `tag('Dashboard')` is `Dashboard`, `tag('User', 42)` is `User:42`, `tag('Page', 'de', 7)` is `Page:de:7`.
 *
 * Of several parts each but the last has its colons encoded too: a name that has always as many parts means one thing only, and a
 * tag with one part is what the template `Name:{x}` of a rule makes.
 * @param {string} name
 * @param {...Instance} instance
 * @returns {string}
 * @throws {TypeError} where the name is empty, has a colon or begins with `~`, a part has no text, or all are longer than 4096 bytes
 */
export function tag(name: string, ...instance: Instance[]): string;
/**
 * @param {unknown} text
 * @returns {string} the same
 * @throws {TypeError} where it is no tag
 */
export function check(text: unknown): string;
/**
 * As `check`, for a tag of a response, which may say the app's own version of it: `User:42;v=7`.
 * @param {unknown} text
 * @returns {string} the same
 * @throws {TypeError}
 */
export function checkTagged(text: unknown): string;
/**
 * Whether the sidecar reads this text as one tag of an app.
 * @type {(text: unknown) => text is string}
 */
export const valid: (text: unknown) => text is string;
/**
 * what tells one thing of a name from another
 */
export type Instance = string | number | bigint | boolean;
