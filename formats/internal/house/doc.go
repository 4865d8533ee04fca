// Package house holds the tests that keep the repository's shape, and no code:
// who may import whom, one comment per package, sizes of functions and files,
// names, and whether what README.md and RATIONALE.md name still exists.
//
// The tests read every Go file of the module once (tree_test.go) and each rule
// is one small test over that reading, so a rule that fails names file and line.
// The package imports nothing of ours and nothing imports it.
package house
