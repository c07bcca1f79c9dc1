/**
 * `fetch` would repeat one that no header can carry.
 * @param {string} [token]
 * @returns {string | undefined} the same
 * @throws {TypeError}
 */
export function checkToken(token?: string): string | undefined;
/** The sidecar did not do it, or could not be asked. */
export class SidecarError extends Error {
    /**
     * @param {string} message
     * @param {number} [status] of its answer; none: there was no answer
     * @param {unknown} [cause]
     */
    constructor(message: string, status?: number, cause?: unknown);
    status: number | undefined;
    /** Whether another try may go better: every call here may be made twice. */
    get isPassing(): boolean;
}
export class Client {
    /** @param {{ url: string, token?: string, timeout?: number, retries?: number }} options `timeout` of one try, in seconds */
    constructor({ url, token, timeout, retries }: {
        url: string;
        token?: string;
        timeout?: number;
        retries?: number;
    });
    get url(): string;
    /**
     * Gives tags new versions. Resolves once the sidecar, and the store it shares, have them.
     * @param {string[]} tags
     * @param {{ soft?: boolean, again?: number }} [options] `again` in seconds
     * @throws {SidecarError}
     */
    increment(tags: string[], { soft, again }?: {
        soft?: boolean;
        again?: number;
    }): Promise<void>;
    /**
     * @param {Change} change
     * @throws {SidecarError}
     */
    change(change: Change): Promise<void>;
    /**
     * @param {Purge} what
     * @returns {Promise<number | null>} how many responses, where somebody counts them
     * @throws {SidecarError}
     */
    purge(what: Purge): Promise<number | null>;
    /**
     * @param {Changes} changes
     * @throws {SidecarError}
     */
    tell({ increments, changes }: Changes): Promise<void>;
    /**
     * Any call of the interface.
     * @param {string} method
     * @param {string} path
     * @param {object} [body]
     * @returns {Promise<any>} the JSON of the answer
     * @throws {SidecarError}
     */
    call(method: string, path: string, body?: object): Promise<any>;
    #private;
}
/**
 * What a purge forgets: one of these. Responses of a URL, of a rule, of a group of the configuration, with one of the tags, whose
 * logical key matches a pattern, or all.
 */
export type Purge = ({
    url: string;
} | {
    rule: string;
} | {
    group: string;
} | {
    tags: string[];
} | {
    match: string;
} | {
    all: true;
}) & {
    soft?: boolean;
};
import type { Change } from './changes.js';
import type { Changes } from './collector.js';
