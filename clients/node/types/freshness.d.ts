/**
 * @param {Freshness} said
 * @returns {Freshness} the same
 * @throws {TypeError} where a time is no whole number of seconds, or a name is unknown
 */
export function checkFreshness(said: Freshness): Freshness;
/**
 * What holds of a page whose parts say this: it lives as long as the part that lives shortest.
 * @param {Freshness} one
 * @param {Freshness} other
 * @returns {Freshness}
 */
export function shortest(one: Freshness, other: Freshness): Freshness;
/**
 * What of it holds for the answer that has come of it: an error, and what is for one client or for none, is given no life, whoever has made
 * it so. The sidecar would believe ours before all else (L12).
 * @param {Freshness} said
 * @param {{ status: number, cacheControl: string }} answer
 * @returns {Freshness}
 */
export function forAnswer(said: Freshness, { status, cacheControl }: {
    status: number;
    cacheControl: string;
}): Freshness;
/**
 * @param {Freshness} said
 * @returns {string} empty: it says nothing
 */
export function freshnessText(said: Freshness): string;
/**
 * Seconds, all of them: how long it is fresh (`ttl`), may be served while it is fetched again (`swr`), and while the app fails
 * (`sie`). `noStore`: it is not for the store at all.
 */
export type Freshness = {
    ttl?: number;
    swr?: number;
    sie?: number;
    noStore?: boolean;
};
