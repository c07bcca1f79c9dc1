/** @import { Limits } from './headers.js' */
/** @typedef {{ warn: (message: string) => void, error: (message: string) => void }} Logger */
/**
 * @typedef {object} Options
 * @property {string | readonly string[]} [adminUrls] where sidecars listen for their operators, such as `http://127.0.0.1:9080`; several that share no
 *   store must all be told
 * @property {string} [token] for them
 * @property {number} [timeout] of one try, in seconds; 2
 * @property {number} [retries] after the first try; 2
 * @property {Logger} [logger] the console
 * @property {number} [maxHeaderLine] in bytes; 4096
 * @property {number} [maxTagBytes] of one response; beyond it says that it is not to be stored; 16384, which is the sidecar's `limits.max_tag_bytes`
 * @property {number} [maxIncrementBytes] of one response; what is beyond goes to the admin interface before the response does; 32768
 */
/**
 * @param {Options} options
 * @returns {{ clients: Client[], logger: Logger, limits: Limits }}
 * @throws {TypeError}
 */
export function settle({ adminUrls, token, timeout, retries, logger, maxHeaderLine, maxTagBytes, maxIncrementBytes, ...unknown }: Options): {
    clients: Client[];
    logger: Logger;
    limits: Limits;
};
export type Logger = {
    warn: (message: string) => void;
    error: (message: string) => void;
};
export type Options = {
    /**
     * where sidecars listen for their operators, such as `http://127.0.0.1:9080`; several that share no
     * store must all be told
     */
    adminUrls?: string | readonly string[] | undefined;
    /**
     * for them
     */
    token?: string | undefined;
    /**
     * of one try, in seconds; 2
     */
    timeout?: number | undefined;
    /**
     * after the first try; 2
     */
    retries?: number | undefined;
    /**
     * the console
     */
    logger?: Logger | undefined;
    /**
     * in bytes; 4096
     */
    maxHeaderLine?: number | undefined;
    /**
     * of one response; beyond it says that it is not to be stored; 16384, which is the sidecar's `limits.max_tag_bytes`
     */
    maxTagBytes?: number | undefined;
    /**
     * of one response; what is beyond goes to the admin interface before the response does; 32768
     */
    maxIncrementBytes?: number | undefined;
};
import { Client } from './client.js';
import type { Limits } from './headers.js';
