package kernel

func normBody(int, float32) []byte                       { panic("todo") }
func noNormBody(int, bool) []byte                        { panic("todo") }
func addBody(int) []byte                                 { panic("todo") }
func activationBody(int, Act) []byte                     { panic("todo") }
func gluBody(int, Act) []byte                            { panic("todo") }
func lookupBody(int, int) []byte                         { panic("todo") }
func trigramBody(int) []byte                             { panic("todo") }
func poolBody(Pool, int) []byte                          { panic("todo") }
func attendBody(int, int, float32, AttendOptions) []byte { panic("todo") }
