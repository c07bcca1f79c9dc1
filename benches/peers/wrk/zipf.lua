-- Asks for /1?n=1 to /1?n=N (N is the script's argument), the k-th as often as 1/k says, in the same order in every run.
local DRAWN = 200000
local drawn, at = {}, 0

function init(arguments)
    local urls = tonumber(arguments[1])
    local sums, sum = {}, 0
    for rank = 1, urls do
        sum = sum + 1 / rank
        sums[rank] = sum
    end
    math.randomseed(1)
    local requests = {}
    for number = 1, DRAWN do
        local wanted, low, high = math.random() * sum, 1, urls
        while low < high do
            local middle = math.floor((low + high) / 2)
            if sums[middle] < wanted then low = middle + 1 else high = middle end
        end
        requests[low] = requests[low] or wrk.format("GET", "/1?n=" .. low)
        drawn[number] = requests[low]
    end
end

function request()
    at = at % DRAWN + 1
    return drawn[at]
end
