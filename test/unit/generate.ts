// fast-check, told to mean what a generator says: without this, `maxLength: 60` makes lists of ten at the most.
import { configureGlobal } from "fast-check";

configureGlobal({ defaultSizeToMaxWhenMaxSpecified: true });

export * as fc from "fast-check";
