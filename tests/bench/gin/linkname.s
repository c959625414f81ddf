// An assembly file, however empty, lets the compiler take functions without a body: getValue is linked by its name.
