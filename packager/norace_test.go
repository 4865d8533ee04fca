//go:build !race

package packager_test

// raceEnabled says that the race detector is on: under it wazero's interpreter takes minutes.
const raceEnabled = false
