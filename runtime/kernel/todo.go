package kernel

func attendBody(int, int, float32, AttendOptions) []byte { panic("todo") }
