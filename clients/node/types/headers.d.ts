/**
 * @param {{ tags: Set<string>, freshness: Freshness, changes: Changes }} collected
 * @param {Limits} limits
 * @returns {{ lines: Lines, rest: Changes }} `rest` has no room
 */
export function headers({ tags, freshness, changes }: {
    tags: Set<string>;
    freshness: Freshness;
    changes: Changes;
}, limits: Limits): {
    lines: Lines;
    rest: Changes;
};
/** @import { Changes } from './collector.js' */
/** @import { Freshness } from './freshness.js' */
/**
 * In bytes: of one line; of all tags of a response; of all its increments and changes.
 * @typedef {{ maxHeaderLine: number, maxTagBytes: number, maxIncrementBytes: number }} Limits
 */
/** @typedef {Record<string, string[]>} Lines of each header, each a string with a character for every byte */
export const TAG: "Cache-Tag";
export const INCREMENT: "Cache-Tag-Increment";
export const CHANGE: "Cache-Tag-Change";
export const CONTROL: "Tagalong-Cache-Control";
/** Forgets everything: for increments that could not be told in time. */
export const FORGET_ALL: {
    'X-LiteSpeed-Purge': string[];
};
/**
 * In bytes: of one line; of all tags of a response; of all its increments and changes.
 */
export type Limits = {
    maxHeaderLine: number;
    maxTagBytes: number;
    maxIncrementBytes: number;
};
/**
 * of each header, each a string with a character for every byte
 */
export type Lines = Record<string, string[]>;
import type { Freshness } from './freshness.js';
import type { Changes } from './collector.js';
