/** An error whose message is for the reader of the page. */
export class ModelFailure extends Error {}
