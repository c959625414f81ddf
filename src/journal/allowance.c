#include "journal/allowance.h"

bool allowance_take(struct allowance *allowance, unsigned per_second, usec_t now)
{
    if (allowance->taken == 0 || now - allowance->second >= USEC_PER_SEC) {
        allowance->second = now;
        allowance->taken = 0;
    }
    if (allowance->taken >= per_second) {
        allowance->withheld++;
        return false;
    }
    allowance->taken++;
    return true;
}

uint64_t allowance_take_withheld(struct allowance *allowance)
{
    const uint64_t withheld = allowance->withheld;
    allowance->withheld = 0;
    return withheld;
}
