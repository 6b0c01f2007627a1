// Package expr is CEL as people may write it in the cluster's objects: expressions of strangers, evaluated in the agent's process on objects
// of strangers, so that a bad one costs its writer and nobody else.
//
// What bounds an expression, each before anything is spent:
//
//   - its text: MaxText bytes;
//   - what it builds: a literal that repeats a value, in a chain of literals, multiplies it; a chain may do so up to maxMultiplied times;
//   - one evaluation: MaxCost of CEL's units, counted for every function by the size of what it reads and gives, whether or not its types
//     are known when it is compiled (CEL itself counts 1 where they are not);
//   - one text that a function makes: maxMade bytes. Functions that can make a long text of a short one are asked beforehand.
//
// CEL's own words about a failed evaluation are not passed on: they may quote data of the object. WhyNot says it without.
package expr
