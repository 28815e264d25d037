// SPDX-License-Identifier: BSD-3-Clause
// Which sanitizer this is compiled for, whichever compiler says it: HOMEPORT_ASAN, HOMEPORT_TSAN,
// and HOMEPORT_SANITIZED for either. Not defined: none.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define HOMEPORT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOMEPORT_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define HOMEPORT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HOMEPORT_TSAN 1
#endif
#endif

#if defined(HOMEPORT_ASAN) || defined(HOMEPORT_TSAN)
#define HOMEPORT_SANITIZED 1
#endif
