/**
 * @param {readonly string[]} tags
 * @param {{ soft?: boolean, again?: number }} options
 * @returns {Increment[]}
 */
export function increments(tags: readonly string[], { soft, again }?: {
    soft?: boolean;
    again?: number;
}): Increment[];
/**
 * @param {string} rule the id of a rule with `dimensions`
 * @param {{ old?: Record<string, Value>, new?: Record<string, Value> }} values by attribute
 * @returns {Change}
 */
export function change(rule: string, values?: {
    old?: Record<string, Value>;
    new?: Record<string, Value>;
}): Change;
/** @param {Change} change */
export function changeText({ rule, old, new: after }: Change): string;
export function incrementText({ tag, soft, again }: Increment): string;
/**
 * of an attribute; `null` and `undefined`: there is none
 */
export type Value = string | number | bigint | boolean | null | undefined;
/**
 * `again` in seconds
 */
export type Increment = {
    tag: string;
    soft: boolean;
    again?: number;
};
export type Change = {
    rule: string;
    old: Record<string, string>;
    new: Record<string, string>;
};
