//go:build !race

package infer

// raceEnabled says that the race detector is on: under it sync.Pool forgets at random.
const raceEnabled = false
