/** @import { Change, Increment } from './changes.js' */
/** @import { Freshness } from './freshness.js' */
/** @typedef {{ increments: Increment[], changes: Change[] }} Changes */
export class Collector {
    isOpen: boolean;
    /** @type {Set<string>} */
    tags: Set<string>;
    /** @type {Freshness} */
    freshness: Freshness;
    /** @type {Changes} */
    changes: Changes;
    /**
     * @param {Changes} changes
     */
    add({ increments, changes }: Changes): void;
    /** @param {Freshness} said */
    keep(said: Freshness): void;
    close(): this;
    get isEmpty(): boolean;
}
export function isNothing({ increments, changes }: Changes): boolean;
export type Changes = {
    increments: Increment[];
    changes: Change[];
};
import type { Freshness } from './freshness.js';
import type { Increment } from './changes.js';
import type { Change } from './changes.js';
