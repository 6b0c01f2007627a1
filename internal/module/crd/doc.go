// Package crd says what replacing one CustomResourceDefinition by another does to the objects that exist, forwards and backwards, and
// how to do it in steps that can be taken back until the last one.
//
//   - Compare judges a change in both directions: is it safe to go there (Report.Safe), and is it possible to come back
//     (Report.Reversible). Each Finding names its place in the schema and what a person can do about it.
//   - TwoStep makes the definitions to apply one after the other: first everything that is new is served while objects stay stored as they
//     are; at the commit the storage version moves, objects are rewritten, and only then what is old goes.
//   - Back makes the definition that takes the first step back.
//
// The package is pure: no client, no clock, no I/O. It judges definitions, not objects: whoever calls it says which versions are in use.
// Single constraints of a schema (enums, limits, required fields, types, defaults) are compared by sigs.k8s.io/crdify; what it leaves
// unjudged, and everything that is not about one field, is judged here. A difference that nothing here knows is unsafe.
package crd
