package native

// peakSMULL does 8·16 products a round.
func peakSMULL(rounds uint64)

// peakSDOT does 24·16 products a round.
func peakSDOT(rounds uint64)

// peakSMMLA does 24·32 products a round.
func peakSMMLA(rounds uint64)
